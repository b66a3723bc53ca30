-- What has a name exists once: one seat for one place, one product for one name, and so on. Whoever
-- reads a ticket knows a seat by nothing else. See 0001 for why these indexes are partial.

CREATE UNIQUE INDEX occasions_one_per_name_and_start
    ON occasions (organisation, sale, name, starts_at) WHERE occasion > 0;
CREATE UNIQUE INDEX price_classes_one_per_name
    ON price_classes (organisation, sale, name) WHERE price_class > 0;
CREATE UNIQUE INDEX seats_one_per_place
    ON seats (organisation, sale, occasion, section, row_name, label) WHERE seat > 0;
CREATE UNIQUE INDEX stocks_one_per_name_and_start
    ON stocks (organisation, sale, occasion, name, starts_at) NULLS NOT DISTINCT WHERE stock > 0;
CREATE UNIQUE INDEX products_one_per_name
    ON products (organisation, sale, name) WHERE product > 0;
