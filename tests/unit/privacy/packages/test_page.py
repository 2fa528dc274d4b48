"""The page of a package: one file, no script, every value escaped."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from igstats_privacy.categories import Held, disclosed
from igstats_privacy.model import Right
from igstats_privacy.packages import page
from igstats_privacy.packages.dataset import Dataset, Field
from igstats_privacy.processors import PROCESSORS

NOW = datetime(2026, 7, 1, tzinfo=UTC)
MEDIA = Dataset(
    "stats", "media", (Field("caption", "string", nullable=False), Field("likes", "integer", nullable=True))
)
HELD = [Held("stats", "user.content", "observed", "provide API services", "30 days", "contract")]
ODD = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


class Seen(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def seen(right: Right, *captions: str, count: int = 0) -> Seen:
    contents = [(MEDIA, count or len(captions))]
    cover = page.Cover(right, "7K2Q-M4TD", NOW, NOW, NOW + timedelta(days=7), disclosed(HELD), contents)
    rows = [{"caption": caption, "likes": None} for caption in captions]
    whole = page.opening(cover) + page.section(MEDIA, contents[0][1], rows) + page.closing(cover)
    found = Seen()
    found.feed(whole.decode())
    found.close()
    return found


@given(ODD)
def test_a_value_is_shown_as_it_is_and_never_becomes_markup(odd: str) -> None:
    injected = f"{odd}</td><script>alert(1)</script><img src=x onerror=alert(1)>"
    found = seen(Right.ACCESS, injected)
    assert found.tags == seen(Right.ACCESS, "harmless").tags
    assert "script" not in found.tags
    assert not found.handlers
    assert "".join(injected.split()) in "".join("".join(found.texts).split())


def test_the_page_fetches_nothing_and_links_to_the_files_beside_it() -> None:
    found = seen(Right.ACCESS, "a")
    files = {"stats/media.jsonl", "stats/media.csv", "schemas/stats/media.schema.json"}
    assert {address for address in found.addresses if not address.startswith("#")} == files


def test_an_access_page_tells_all_that_article_15_asks_for() -> None:
    text = " ".join("".join(seen(Right.ACCESS, "a").texts).split())
    for wanted in ("provide API services", "contract", "30 days", "the API customers", "Instagram, through"):
        assert wanted in text
    for processor in PROCESSORS:
        assert processor.name in text
        assert processor.safeguard in text
    for wanted in ("correct or delete", "supervisory authority", "cppa.ca.gov", "Automated decisions None"):
        assert wanted in text


def test_a_long_table_says_that_it_is_cut_and_empty_columns_are_left_out() -> None:
    text = "".join(seen(Right.PORTABILITY, "a", count=70).texts)
    assert "70 rows, the first 1 are shown" in text
    assert "likes" not in text
