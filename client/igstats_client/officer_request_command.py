"""`igstats officer request`, `hold` and `excerpt`: what they understand."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from igstats_client.lazy import lazy
from igstats_client.officer_options import AsJson, Limit, desk

if TYPE_CHECKING:
    from igstats_client import officer_decisions as decisions
    from igstats_client import officer_requests as requests
else:
    requests, decisions = lazy("igstats_client.officer_requests"), lazy("igstats_client.officer_decisions")

request = typer.Typer(no_args_is_help=True, help="Requests of all doors.")
hold = typer.Typer(no_args_is_help=True, help="Holds: what stays although its person is erased.")
excerpt = typer.Typer(no_args_is_help=True, help="Excerpts: a restricted person's data, on a ground of GDPR 18(2).")

RequestId = Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the request (req_...).")]
Target = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it.", dir_okay=False)
]
Who = Annotated[list[str] | None, typer.Option(metavar="KIND=VALUE", help="The person, e.g. email=...; repeatable.")]


class Law(StrEnum):
    """Law that a request is made under."""

    GDPR = "gdpr"
    CCPA = "ccpa"
    BOTH = "gdpr_and_ccpa"
    VOLUNTARY = "voluntary"


class Refusal(StrEnum):
    """Why a request is refused."""

    SUSPECTED_FRAUD = "suspected_fraud"
    INSUFFICIENT_VERIFICATION = "insufficient_verification"
    NO_MATCH = "no_match"
    CLAIM_NOT_COVERED = "claim_not_covered"
    OUTSIDE_JURISDICTION = "outside_jurisdiction"
    TOO_MANY_REQUESTS = "too_many_requests"
    MANIFESTLY_UNFOUNDED = "manifestly_unfounded"
    OTHER = "other"


class Ground(StrEnum):
    """Legal ground of a hold."""

    LEGAL_CLAIMS = "legal_claims"
    LEGAL_OBLIGATION = "legal_obligation"
    PUBLIC_INTEREST = "public_interest"
    OTHERS_RIGHTS = "others_rights"
    FREE_EXPRESSION = "free_expression"


class ExcerptGround(StrEnum):
    """Why restricted data may be used."""

    CONSENT = "consent"
    LEGAL_CLAIMS = "legal_claims"
    OTHERS_RIGHTS = "others_rights"
    PUBLIC_INTEREST = "public_interest"


@request.command("list")
def list_requests(
    context: typer.Context,
    state: Annotated[str, typer.Option(help="Only those in this state, such as identity_pending.")] = "",
    blocked: Annotated[bool, typer.Option("--blocked", help="Only those of which a task needs you.")] = False,  # noqa: FBT002 - a flag
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those whose answer is late.")] = False,  # noqa: FBT002 - a flag
    limit: Limit = 50,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Prints requests, newest first, and what each needs.

    Example: igstats officer request list --blocked
    """
    requests.listed(desk(context, as_json=as_json), state, limit, blocked=blocked, overdue=overdue)


@request.command("show")
def show_request(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Prints a request, its tasks, and why a task needs you.

    Example: igstats officer request show req_01k...
    """
    requests.shown(desk(context, as_json=as_json), request_id)


@request.command("open")
def open_request(
    context: typer.Context,
    right: Annotated[str, typer.Option(help="Right exercised, such as access or erasure.")],
    key: Annotated[str, typer.Option(help="Idempotency key, such as the number of the letter: repeating it is safe.")],
    who: Who = None,
    regime: Annotated[Law, typer.Option(help="Law it is made under.")] = Law.GDPR,
    reply: Annotated[str, typer.Option(metavar="EMAIL", help="Where answers go.")] = "",
    language: Annotated[str, typer.Option(help="Language of the answers: en, de, es.")] = "",
    received: Annotated[str, typer.Option(metavar="TIME", help="When it reached us; the clocks start there.")] = "",
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Opens a request for somebody who wrote or called.

    Example: igstats officer request open --right access --key letter-4711 --who email=... --received 2026-11-23
    """
    wish = requests.Wish(right, tuple(who or ()), regime, reply, language, received, key)
    requests.opened(desk(context, as_json=as_json), wish)


@request.command("prove")
def prove_identity(
    context: typer.Context,
    request_id: RequestId,
    how: Annotated[str, typer.Option(help="How you saw who it is; no personal value.")],
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """States how the person's identity was proved; the request goes on.

    Example: igstats officer request prove req_01k... --how "passport seen at the desk"
    """
    requests.proved(desk(context, as_json=as_json), request_id, how)


@request.command("retry")
def retry_task(
    context: typer.Context,
    request_id: RequestId,
    of: Annotated[str, typer.Option("--holder", help="The holder of the task.")],
    phase: Annotated[str, typer.Option(help="Its phase, such as erase.")],
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Sends a blocked task back to its holder, once what kept it is repaired.

    Example: igstats officer request retry req_01k... --holder stats --phase erase
    """
    requests.retried(desk(context, as_json=as_json), request_id, of, phase)


@request.command("withdraw")
def withdraw_request(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Takes a request back, as its person asked; only before it is accepted.

    Example: igstats officer request withdraw req_01k...
    """
    requests.withdrawn(desk(context, as_json=as_json), request_id)


@request.command("evidence")
def save_evidence(context: typer.Context, request_id: RequestId, output: Target = None) -> None:
    """Writes the evidence of a request that has ended: a ZIP for igstats receipt verify.

    Example: igstats officer request evidence req_01k... -o evidence.zip
    """
    requests.evidence(desk(context, as_json=False), request_id, output)


@excerpt.command("open")
def open_excerpt(
    context: typer.Context,
    who: Annotated[list[str], typer.Option(metavar="KIND=VALUE", help="The person, e.g. email=...; repeatable.")],
    key: Annotated[str, typer.Option(help="Idempotency key, such as a file number: repeating it is safe.")],
    ground: Annotated[ExcerptGround, typer.Option(help="Ground of GDPR 18(2).")],
    reason: Annotated[str, typer.Option(help="Why, in words; the person can read it.")],
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Asks all holders for a restricted person's data. That, your ground and your name go into the evidence log.

    Example: igstats officer excerpt open --who email=... --key case-4711 --ground legal_claims --reason "case 4711"
    """
    requests.excerpt_opened(desk(context, as_json=as_json), key, who, ground, reason)


@excerpt.command("read")
def read_excerpt(context: typer.Context, request_id: RequestId, output: Target = None) -> None:
    """Writes an excerpt, once all holders have answered. Each reading goes into the evidence log.

    Example: igstats officer excerpt read req_01k... -o excerpt.zip
    """
    requests.excerpt_read(desk(context, as_json=False), request_id, output)


@request.command("preview")
def preview_request(
    context: typer.Context,
    request_id: RequestId,
    ask: Annotated[bool, typer.Option("--ask", help="Ask all holders anew.")] = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Prints what an erasure would touch and what would stay. Changes nothing. Ends with 1 while holders still answer.

    Example: igstats officer request preview req_01k... --ask
    """
    complete = decisions.previewed(desk(context, as_json=as_json), request_id, ask=ask)
    raise typer.Exit(0 if complete else 1)


@request.command("approve")
def approve_request(context: typer.Context, request_id: RequestId, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Approves a request that waits for it; a large erasure needs a second officer, too.

    Example: igstats officer request approve req_01k...
    """
    decisions.approved(desk(context, as_json=as_json), request_id)


@request.command("deny")
def deny_request(
    context: typer.Context,
    request_id: RequestId,
    reason: Annotated[Refusal, typer.Option(help="Why.")],
    explanation: Annotated[str, typer.Option(help="Why, in words that the person is sent.")] = "",
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Refuses a request. The person is told why and where to complain.

    Example: igstats officer request deny req_01k... --reason no_match --explanation "We hold no data about you."
    """
    decisions.denied(desk(context, as_json=as_json), request_id, reason, explanation)


@request.command("extend")
def extend_request(
    context: typer.Context,
    request_id: RequestId,
    reasons: Annotated[str, typer.Option(help="Reasons that the person is sent and shown; name nobody.")],
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Extends the due time, once, with reasons that the person is sent.

    Example: igstats officer request extend req_01k... --reasons "Your data is spread over many profiles."
    """
    decisions.extended(desk(context, as_json=as_json), request_id, reasons)


@hold.command("place")
def place_hold(
    context: typer.Context,
    keep: Annotated[list[str], typer.Option(metavar="HOLDER:STORE[,STORE]", help="What stays; repeatable.")],
    ground: Annotated[Ground, typer.Option(help="Legal ground.")],
    reason: Annotated[str, typer.Option(help="Why, in words; no personal value.")],
    until: Annotated[str, typer.Option(metavar="TIME", help="When it ends by itself.")],
    review: Annotated[
        str, typer.Option(metavar="TIME", help="When somebody must look again; without, at its end.")
    ] = "",
    of: Annotated[str, typer.Option("--request", metavar="REQUEST", help="A live request about the person.")] = "",
    who: Who = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Keeps field groups of a person from erasure.

    Example: igstats officer hold place --request req_01k... --keep gateway:invoices --ground legal_claims ...
    """
    keeping = decisions.Keeping(tuple(who or ()), of, tuple(keep), ground, reason, until, review)
    decisions.placed(desk(context, as_json=as_json), keeping)


@hold.command("release")
def release_hold(
    context: typer.Context,
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="Id of the hold (hld_...).")],
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Ends a hold; erasures that it kept back go on.

    Example: igstats officer hold release hld_01k...
    """
    decisions.released(desk(context, as_json=as_json), hold_id)


@hold.command("list")
def list_holds(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over as well.")] = False,  # noqa: FBT002 - a flag
    due: Annotated[bool, typer.Option("--due", help="Only those to look at again now.")] = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Prints holds.

    Example: igstats officer hold list --due
    """
    decisions.holds(desk(context, as_json=as_json), everything=everything, due=due)
