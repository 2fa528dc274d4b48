"""Checks the evidence of a request offline: pure, no I/O, no part of igstats has to be asked or trusted.

What holds when there is no finding: the log's keys signed a tree that contains every entry; each payload is what its
leaf committed to; each receipt was signed by its holder; every holder that is registered stands in the closing and has
attested, with an unbroken chain of receipts for all phases. Whose keys these are, only the reader can say: pass trusted
keys to pin them.
"""

from collections.abc import Collection, Mapping, Sequence

from igstats_client.archive import INDEX, Archive, Files, check_copies, index, open_archive
from igstats_client.closing import check_holders, read_closing
from igstats_client.entries import Sealed, check_checkpoint, open_entries, places
from igstats_client.note import SignatureType
from igstats_client.receipts import Heard, keyring, read_receipts
from igstats_client.verdict import Findings, Verdict
from igstats_client.witnesses import Cosigners, check_witnesses

_SIGNATURES = {SignatureType.ED25519: "Ed25519", SignatureType.MLDSA44_COSIGNATURE: "ML-DSA-44"}


def verify(
    files: Files,
    *,
    log_keys: Sequence[str] = (),
    holder_keys: Mapping[str, Collection[bytes]] | None = None,
    witness_keys: Sequence[str] = (),
) -> Verdict:
    """Checks everything and goes on after a finding, so that the verdict names all of them.

    Args:
        files: The files of the archive, by name.
        log_keys: Trusted verifier keys of the log; without them the archive's own are used.
        holder_keys: Trusted raw public keys by holder, several of one whose key was renewed; without them the archive's
            own are used.
        witness_keys: Verifier keys of witnesses, each of which must have signed the checkpoint, too.
    """
    findings = Findings()
    archive = open_archive(files, findings)
    sealed = check_checkpoint(archive, log_keys, findings)
    others = Cosigners()
    if sealed is not None:
        others = check_witnesses(sealed.note, sealed.keys, witness_keys, findings)
    opened = open_entries(archive, sealed.checkpoint if sealed is not None else None, findings)
    ring = keyring(archive.holder_keys, holder_keys, findings)
    receipts = read_receipts(opened, archive.request_id, ring, findings)
    closing = read_closing(opened, archive.request_id, findings)
    registered = frozenset(key.holder for key in archive.holder_keys)
    statements = check_holders(closing, receipts, registered, findings) if closing is not None else []
    check_copies(files, archive, _copies(archive, sealed, receipts, findings), findings)
    return Verdict(
        findings=tuple(findings),
        request_id=archive.request_id,
        state=closing.state if closing is not None else "",
        closed_time=closing.closed_time if closing is not None else None,
        origin=sealed.checkpoint.origin if sealed is not None else "",
        tree_size=sealed.checkpoint.size if sealed is not None else 0,
        signed_with=tuple(_SIGNATURES[key.type] for key in sealed.keys) if sealed is not None else (),
        entry_count=len(archive.exhibits),
        statements=tuple(statements),
        keys_pinned=bool(log_keys) and holder_keys is not None,
        witnesses=others.witnesses,
        unknown_signers=others.strangers,
    )


def _copies(archive: Archive, sealed: Sealed | None, receipts: Sequence[Heard], findings: Findings) -> dict[str, bytes]:
    """What the files that only repeat something must be."""
    copies = {name: content for heard in receipts for name, content in heard.copies.items()}
    found = places(archive, findings)
    if sealed is None:
        return copies
    copies |= sealed.copies
    if found is not None:
        copies[INDEX] = index(archive, sealed.checkpoint.origin, sealed.checkpoint.size, found)
    return copies
