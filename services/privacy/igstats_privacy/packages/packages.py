"""Packages of access and portability requests: read part by part, written as a ZIP while it is sent.

Nothing is held whole: a dataset is read once for each of its files, and a page of its parts at a time.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Protocol

from igstats_privacy import sheets
from igstats_privacy.categories import Held, disclosed
from igstats_privacy.export_store import Heap
from igstats_privacy.exports import Contents, Exports
from igstats_privacy.model import Right
from igstats_privacy.packages import activities, page
from igstats_privacy.packages.archive import Archive
from igstats_privacy.packages.dataset import Dataset, schema

SCHEMA = "igstats/export/v2"
PAGE = "index.html"


class Descriptions(Protocol):
    """Reads what holders say about themselves."""

    def dataset(self, description: bytes, holder: str, store: str, right: Right) -> Dataset:
        """The dataset that a holder sends of one of its stores."""
        ...

    def held(self, descriptions: Iterable[bytes]) -> Iterable[Held]:
        """Every field with personal data."""
        ...


class Packages:
    """Gives packages to the account that asked for them."""

    def __init__(self, exports: Exports, descriptions: Descriptions) -> None:
        self._exports = exports
        self._descriptions = descriptions

    async def read(self, request_id: str, account_id: str) -> AsyncIterator[bytes]:
        """The package as a ZIP, in pieces.

        Raises:
            DomainError: REQUEST_NOT_FOUND, EXPORT_NOT_READY, EXPORT_EXPIRED.
        """
        async for piece in self.packed(await self._exports.contents(request_id, account_id)):
            yield piece

    async def packed(self, contents: Contents) -> AsyncIterator[bytes]:
        """The ZIP of a package that its reader may have, in pieces."""
        packing = _Packing(contents, self._descriptions)
        try:
            async for _ in packing.steps():
                if piece := packing.archive.taken():
                    yield piece
            yield packing.archive.taken()
        finally:
            packing.archive.abandon()


class _Packing:
    """One package while it is written. Every step of `steps` has written a little."""

    def __init__(self, contents: Contents, descriptions: Descriptions) -> None:
        self._contents = contents
        self._right = contents.request.right
        self._held = list(descriptions.held(contents.descriptions.values()))
        self._datasets = [(heap, self._dataset(heap, descriptions)) for heap in contents.heaps]
        self.archive = Archive(contents.made_at)

    def _dataset(self, heap: Heap, descriptions: Descriptions) -> Dataset:
        description = self._contents.descriptions.get(heap.holder, b"")
        return descriptions.dataset(description, heap.holder, heap.store, self._right)

    async def steps(self) -> AsyncIterator[None]:
        async for _ in self._page():
            yield
        for heap, dataset in self._datasets:
            async for _ in self._files(heap, dataset):
                yield
        async for _ in self._posts():
            yield
        self.archive.close(self._head())

    def _head(self) -> dict[str, object]:
        request = self._contents.request
        return {
            "schema": SCHEMA,
            "request_id": request.request_id,
            "reference": request.reference,
            "right": request.right,
            "received_at": request.received_at.isoformat(),
            "generated_at": self._contents.made_at.isoformat(),
            "expires_at": self._contents.expires_at.isoformat(),
        }

    async def _page(self) -> AsyncIterator[None]:
        cover = self._cover()
        self.archive.begin(PAGE)
        self.archive.write(page.opening(cover))
        for heap, dataset in self._datasets:
            self.archive.write(page.section(dataset, heap.row_count, await self._first(heap, page.ROWS_SHOWN)))
            yield
        self.archive.write(page.closing(cover))
        yield

    def _cover(self) -> page.Cover:
        request = self._contents.request
        return page.Cover(
            request.right,
            request.reference,
            request.received_at,
            self._contents.made_at,
            self._contents.expires_at,
            disclosed(self._held),
            [(dataset, heap.row_count) for heap, dataset in self._datasets],
        )

    async def _first(self, heap: Heap, limit: int) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        async for lines in self._contents.lines(heap):
            found += _rows(lines)[: limit - len(found)]
            if len(found) >= limit:
                break
        return found

    async def _files(self, heap: Heap, dataset: Dataset) -> AsyncIterator[None]:
        self._write_schema(dataset.path, schema(dataset))
        self.archive.begin(f"{dataset.path}.jsonl", heap.size)
        async for lines in self._contents.lines(heap):
            self.archive.write(lines)
            yield
        if not dataset.fields:
            return
        names = [field.name for field in dataset.fields]
        self.archive.begin(f"{dataset.path}.csv", heap.size)
        self.archive.write(sheets.header(names))
        async for lines in self._contents.lines(heap):
            self.archive.write(b"".join(sheets.row(names, row) for row in _rows(lines)))
            yield

    async def _posts(self) -> AsyncIterator[None]:
        """Posts in the form of the Data Transfer Project, for who takes them along."""
        heaps = {(heap.holder, heap.store): heap for heap, _ in self._datasets}
        posts, authors = heaps.get(activities.SOURCE), heaps.get(activities.AUTHORS)
        if self._right is not Right.PORTABILITY or posts is None or authors is None:
            return
        by_id = {row["profile_id"]: row async for lines in self._contents.lines(authors) for row in _rows(lines)}
        self._write_schema(activities.PATH, activities.activity_schema())
        self.archive.begin(f"{activities.PATH}.jsonl", posts.size)
        async for lines in self._contents.lines(posts):
            made = [activities.activity(row, by_id.get(row["profile_id"], {})) for row in _rows(lines)]
            self.archive.write(b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in made))
            yield

    def _write_schema(self, path: str, content: Mapping[str, Any]) -> None:
        self.archive.begin(f"schemas/{path}.schema.json")
        self.archive.write(json.dumps(content, indent=2, ensure_ascii=False).encode())


def _rows(lines: bytes) -> Sequence[Mapping[str, Any]]:
    return [json.loads(line) for line in lines.split(b"\n") if line]
