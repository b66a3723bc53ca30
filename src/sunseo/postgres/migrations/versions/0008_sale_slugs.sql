-- A file of a sale finds it again by its slug, whatever number it has on this server. A sale without
-- one is called by its number, as in sale-12.

ALTER TABLE sales ADD COLUMN slug text;
CREATE UNIQUE INDEX sales_one_of_a_slug ON sales (organisation, slug) WHERE slug IS NOT NULL;
