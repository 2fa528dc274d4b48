"""Entries of the logs and their proofs as protobuf says them."""

from igstats.audit.v1 import audit_service_pb2 as pb

from igstats_audit.model import Acknowledgement, Appended, Entry


def entry_message(entry: Entry) -> pb.Entry:
    """An entry with its opening."""
    made = pb.Entry(
        index=entry.index,
        entry_id=entry.entry_id,
        kind=entry.kind,
        request_id=entry.request_id,
        producer=entry.producer,
        leaf=entry.leaf,
        salt=entry.salt,
        payload=entry.payload,
    )
    made.occurred_time.FromDatetime(entry.occurred_at)
    return made


def acknowledgement_message(one: Acknowledgement) -> pb.Acknowledgement:
    """The proof of an entry."""
    return pb.Acknowledgement(entry_id=one.entry_id, index=one.index, path=one.path)


def appended_message(done: Appended) -> pb.AppendEntriesResponse:
    """The answer to an append. Its proofs are made in their place: made apart, each would be copied there."""
    answer = pb.AppendEntriesResponse(checkpoint=done.checkpoint)
    add = answer.acknowledgements.add
    for one in done.acknowledgements:
        add(entry_id=one.entry_id, index=one.index, path=one.path)
    return answer
