"""The shelf of catalogues that a lane has at hand."""

from sunseo.booking.catalogue import Catalogue, CatalogueShelf


def catalogue(version: int) -> Catalogue:
    return Catalogue(version, "KRW", None, None, {}, {})


def test_the_shelf_tells_what_is_missing() -> None:
    """Only what is not there is read from the database."""
    shelf = CatalogueShelf()
    shelf.put((1, 7), catalogue(1))

    assert shelf.missing([(1, 7), (1, 8), (2, 7)]) == [(1, 8), (2, 7)]
    assert shelf.get((1, 7)) == catalogue(1)
    assert shelf.get((1, 8)) is None


def test_what_is_forgotten_is_missing() -> None:
    """A catalogue that was replaced is read anew; forgetting twice does no harm."""
    shelf = CatalogueShelf()
    shelf.put((1, 7), catalogue(1))
    shelf.forget((1, 7))
    shelf.forget((1, 7))

    assert shelf.missing([(1, 7)]) == [(1, 7)]


def test_the_least_recently_used_makes_room() -> None:
    """However many sales there are, the shelf keeps so many catalogues and no more."""
    shelf = CatalogueShelf(room=2)
    shelf.put((1, 1), catalogue(1))
    shelf.put((1, 2), catalogue(2))
    shelf.get((1, 1))
    shelf.put((1, 3), catalogue(3))

    assert shelf.missing([(1, 1), (1, 2), (1, 3)]) == [(1, 2)]
