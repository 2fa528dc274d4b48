"""README.txt of an archive: what the evidence proves, what it does not, and how to check it by hand. Pure.

The commands name the files of this very archive, so that they can be copied as they are; a test runs them.
"""

from collections.abc import Iterator
from textwrap import dedent

from igstats_audit.story import Receipt, Story

_DOMAIN_BYTES = len(b"igstats/receipt/v1\n")
_VARINT_STEP = 7

_OPENING = """\
    EVIDENCE FOR REQUEST {request_id}

    Every service that could hold data about the person has stated, step by step, what it did for this request, and has
    signed each statement. A log that can only grow has taken every statement, in a form that does not show what it
    says. This archive holds the statements, and what is needed to check that they are the ones in the log.

    To check everything at once, offline:

        igstats receipt verify FILE.zip

    WHAT THIS PROVES, once it has been checked
    - Each statement was signed with the key of the service that it speaks for, and says what it said then.
    - The log {origin} took every statement that is here. None can be changed, back-dated or taken
      back without breaking the log for everyone.
    - The entry that closes the request lists every service that was registered when it ended, and each one of them has
      made every statement that the request asked of it. A service that was left out would show.

    WHAT THIS DOES NOT PROVE
    - That a service told the truth. It proves who stated what and when, so that a false statement can be held against
      whoever made it.
    - Whose keys these are. They came with this archive. Compare them with keys from another source: those published by
      the operator of the log, or those in an archive that somebody else was given.
    - That everybody is shown the same log. {witnesses}
    - That copies in backups are gone before the date that a statement names.
    - Anything in README.txt and index.html. They are for reading, and no check covers them.

    WHO COULD READ THIS
    The statements name services, steps, counts and times, and not you. Still, whoever has this archive can tell what
    the log holds about this request: the .salt files open it. Keep it as you keep other papers about yourself. The
    operator of the log can open the same entries for two years, to answer for what was done.

    THE FILES
    index.html                the same in a page to read, without script and without network
    request.json              which entries and keys there are
    entries/N-KIND.payload    an entry: what was stated
    entries/N-KIND.salt       32 random bytes, without which nobody can guess at an entry
    entries/N-KIND.leaf       what the log holds of it: its kind, who handed it in, the minute, and a digest
    entries/N-KIND.tlog-proof that the leaf is in the log (c2sp.org/tlog-proof)
    receipts/N-WHO-STEP       of an entry that is a receipt: the bytes that were signed, and the signature
    checkpoint/               the state of the log that all proofs lead to, and its signatures
    keys/                     public keys of the log and of the services

    BY HAND, with openssl, sha256sum and proofbundle (pip install proofbundle), in the folder of these files

    1. The log has signed this state of itself: "Signature Verified Successfully".
"""

_ALONE = """\
Compare checkpoint/note.txt with one that somebody else has kept.
  No witness had signed a state of the log with all of this; if the log has one, a later download may have its line.
"""

_WITNESSED = """\
A line under checkpoint/note.txt, and under each
  proof, is of a witness: {names}. A witness belongs to somebody else, signs each state of the log only
  if it goes on from the last one it signed, and so signs no second history. Get its key from the witness, not from
  us, and check its line: igstats receipt verify --witness-key KEY FILE.zip
"""


def text(story: Story) -> str:
    """The content of README.txt."""
    opening = dedent(_OPENING).format(
        request_id=story.request_id, origin=story.origin, witnesses=dedent(_witnesses(story)).rstrip()
    )
    return "\n".join([opening, *_steps(story)]) + "\n"


def _witnesses(story: Story) -> str:
    return _WITNESSED.format(names=", ".join(story.witnesses)) if story.witnesses else _ALONE


def _steps(story: Story) -> Iterator[str]:
    note = "-in checkpoint/text -sigfile checkpoint/ed25519.sig"
    yield f"    openssl pkeyutl -verify -pubin -inkey keys/log.pem -rawin {note}"
    yield "\n2. The leaves are in the log: exit code 0 for each.\n"
    for exhibit in story.exhibits:
        proof = f"--payload-file {exhibit.name}.leaf {exhibit.name}.tlog-proof"
        yield f'    proofbundle verify-proof --log-vkey "$(cat keys/log.vkey)" {proof}'
    yield "\n3. Each leaf ends with the digest of what was stated: the two lines of each pair are the same.\n"
    for exhibit in story.exhibits:
        yield f"    (printf 'igstats/commitment/v1\\n'; cat {exhibit.name}.salt {exhibit.name}.payload) | sha256sum"
        yield f"    tail -c 32 {exhibit.name}.leaf | od -An -v -tx1 | tr -d ' \\n'; echo"
    yield '\n4. Each service has signed its statements: "Signature Verified Successfully".\n'
    for receipt in story.receipts:
        signed = f"-in {receipt.name}.signed -sigfile {receipt.name}.sig"
        yield f"    openssl pkeyutl -verify -pubin -inkey {receipt.key_file} -rawin {signed}"
    yield "\n5. What was signed is what the log took: no difference is printed.\n"
    yield from (f"    {_compare(receipt)}" for receipt in story.receipts)
    yield "\n6. Read a statement: protoc, of the package protobuf-compiler, prints its fields.\n"
    for receipt in story.receipts:
        yield f"    tail -c +{_DOMAIN_BYTES + 1} {receipt.name}.signed | protoc --decode_raw"


def _compare(receipt: Receipt) -> str:
    """A receipt stands in its entry after one byte that names the field and those that give its length."""
    size = len(receipt.said.signed) - _DOMAIN_BYTES
    start = 1 + max(1, -(-size.bit_length() // _VARINT_STEP))
    return f"cmp -i {_DOMAIN_BYTES}:{start} -n {size} {receipt.name}.signed {receipt.exhibit.name}.payload"
