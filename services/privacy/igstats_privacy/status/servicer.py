"""StatusService: proto in, proto out. A status code opens one request and says nothing about its person."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from igstats.holder.v1.receipt_pb2 import Receipt
from igstats.privacy.v1 import status_service_pb2 as pb
from igstats.privacy.v1.status_service_pb2_grpc import StatusServiceServicer
from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.chain import Context

from igstats_privacy import messages
from igstats_privacy.categories import Category, disclosed
from igstats_privacy.messages import stamp
from igstats_privacy.model import Phase, Shown
from igstats_privacy.registry import Registry
from igstats_privacy.requests import Requests
from igstats_privacy.status import words
from igstats_privacy.status.opt_outs import OptOuts
from igstats_privacy.status_codes import StatusCodes
from igstats_privacy.upstream import AuditEvidence


class Links(Protocol):
    """Gives packages for links."""

    def read(self, request_id: str | None, secret: str) -> AsyncIterator[bytes]:
        """The package as a ZIP, in pieces.

        Raises:
            DomainError: PACKAGE_LINK_INVALID.
        """
        ...


class Offers(Protocol):
    """What is on offer here."""

    @property
    def methods(self) -> Sequence[str]:
        """Ways to prove an identity."""
        ...

    @property
    def letters(self) -> bool:
        """Whether letters leave."""
        ...

    async def package_methods(self, shown: Shown) -> Sequence[str]:
        """Ways to the package of a request that has ended, beside the link of a letter."""
        ...


class StatusServicer(StatusServiceServicer):
    """What whoever holds a status code may see and do."""

    def __init__(
        self,
        requests: Requests,
        codes: StatusCodes,
        registry: Registry,
        evidence: AuditEvidence,
        links: Links,
        opt_outs: OptOuts,
        offers: Offers,
        clock: Clock,
    ) -> None:
        self._requests = requests
        self._codes = codes
        self._registry = registry
        self._evidence = evidence
        self._links = links
        self._opt_outs = opt_outs
        self._offers = offers
        self._clock = clock

    async def GetStatus(self, request: pb.GetStatusRequest, _context: Context) -> pb.GetStatusResponse:  # noqa: N802 - gRPC name
        """Reads a request by its status code."""
        shown = await self._requests.get(self._opened(request.status_code))
        done, total = words.counted(shown)
        return pb.GetStatusResponse(
            request=messages.request(replace(shown, tasks=(), account_id="")),
            holders_done=done,
            holders_total=total,
            justifications=map(_justification, words.reasons(shown, _staying(shown))),
            proof_methods=words.provable(shown, self._offers.methods),
            package_methods=await self._offers.package_methods(shown),
            letters=self._offers.letters,
        )

    async def WithdrawByCode(  # noqa: N802 - gRPC name
        self, request: pb.WithdrawByCodeRequest, _context: Context
    ) -> pb.WithdrawByCodeResponse:
        """Takes a request back."""
        shown = await self._requests.withdraw(self._opened(request.status_code))
        return pb.WithdrawByCodeResponse(request=messages.request(replace(shown, tasks=(), account_id="")))

    async def GetOptOut(self, request: pb.GetOptOutRequest, _context: Context) -> pb.GetOptOutResponse:  # noqa: N802 - gRPC name
        """Whether a person has opted out."""
        found = await self._opt_outs.of(map(messages.read_identifier, request.identifiers))
        return pb.GetOptOutResponse(
            opted_out=found.opted_out, objected=found.objected, door=found.door, since_time=stamp(found.since)
        )

    async def DescribeCategories(  # noqa: N802 - gRPC name
        self, _request: pb.DescribeCategoriesRequest, _context: Context
    ) -> pb.DescribeCategoriesResponse:
        """Categories, derived from the declarations of all holders."""
        described = map(messages.description, await self._registry.holders())
        fields = [held for one in described for held in messages.held_fields(one)]
        categories = map(_category, disclosed(fields))
        return pb.DescribeCategoriesResponse(categories=categories, described_time=stamp(self._clock.now()))

    async def ReadEvidence(  # noqa: N802 - gRPC name
        self, request: pb.ReadEvidenceRequest, _context: Context
    ) -> AsyncIterator[pb.ReadEvidenceResponse]:
        """Sends the evidence of a request that has closed."""
        shown = await self._requests.get(self._opened(request.status_code))
        keys = await self._registry.keys(shown)
        async for chunk in self._evidence.archive(shown.request, keys):
            yield pb.ReadEvidenceResponse(chunk=chunk)

    async def ReadPackage(  # noqa: N802 - gRPC name
        self, request: pb.ReadPackageRequest, _context: Context
    ) -> AsyncIterator[pb.ReadPackageResponse]:
        """Sends the package that a link opens."""
        request_id = self._codes.read(request.status_code)
        async for piece in self._links.read(request_id, request.link_secret):
            yield pb.ReadPackageResponse(chunk=piece)

    def _opened(self, status_code: str) -> str:
        request_id = self._codes.read(status_code)
        if request_id is None:
            raise DomainError(Reason.STATUS_CODE_UNKNOWN)
        return request_id


def _staying(shown: Shown) -> Iterator[words.Staying]:
    for task in shown.tasks:
        if task.phase is Phase.ATTEST and task.receipt:
            for one in Receipt.FromString(task.receipt).retained:
                until = messages.read_time(one.until_time) if one.HasField("until_time") else None
                yield words.Staying(task.holder, one.store, one.ground, until)


def _category(one: Category) -> pb.CategoryDescription:
    return pb.CategoryDescription(
        category=one.name,
        keys=sorted(one.keys),
        sources=sorted(one.sources),
        purposes=sorted(one.purposes),
        recipients=sorted(one.recipients),
        retentions=sorted(one.retentions),
        sold=one.sold,
    )


def _justification(one: words.Reason) -> pb.Justification:
    return pb.Justification(
        about=one.about, ground=one.ground, until_time=stamp(one.until), explanation=one.explanation
    )
