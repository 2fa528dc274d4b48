"""Notes, checkpoints and verifier keys: the published examples pass, everything out of form is refused."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_client.note import NoteError, SignatureError, open_note, parse_checkpoint, parse_verifier_key

# The example of golang.org/x/mod/sumdb/note, an independent implementation of the format.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
ROOT = base64.b64encode(b"r" * 32).decode()
Sign = Callable[[str, str], tuple[str, str]]


def test_the_note_of_the_go_implementation_opens() -> None:
    text = open_note(NEUMANN_NOTE, parse_verifier_key(NEUMANN))
    assert text == NEUMANN_NOTE.partition("\n\n")[0] + "\n"


def test_signatures_of_other_keys_are_passed_over() -> None:
    stranger = f"— stranger {base64.b64encode(b'12345').decode()}\n"
    assert open_note(NEUMANN_NOTE + stranger, parse_verifier_key(NEUMANN))


def test_a_note_that_only_strangers_signed_is_refused(sign_note: Sign) -> None:
    note, _ = sign_note("PeterNeumann", "text\n")
    with pytest.raises(SignatureError):
        open_note(note, parse_verifier_key(NEUMANN))


@given(st.integers(min_value=0, max_value=len(NEUMANN_NOTE) - 1), st.characters(codec="utf-8"))
def test_a_note_with_any_sign_changed_does_not_open(at: int, sign: str) -> None:
    changed = NEUMANN_NOTE[:at] + sign + NEUMANN_NOTE[at + 1 :]
    if changed == NEUMANN_NOTE:
        return
    with pytest.raises(NoteError):
        open_note(changed, parse_verifier_key(NEUMANN))


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        NEUMANN_NOTE.rstrip("\n"),
        NEUMANN_NOTE + "\n",
        NEUMANN_NOTE.replace("\n", "\r\n"),
        NEUMANN_NOTE.replace("— ", "- "),
        NEUMANN_NOTE.replace("— PeterNeumann ", "— Peter Neumann "),
        NEUMANN_NOTE + "— PeterNeumann AAAA\n",
        NEUMANN_NOTE + "— PeterNeumann x08goA==\n",
        NEUMANN_NOTE + "— PeterNeumann x08go*==\n",
        NEUMANN_NOTE + "— stranger MTIzNDV=\n",
        NEUMANN_NOTE + "\u2014\u00a0stranger MTIzNDU=\n",
        NEUMANN_NOTE + "— stranger MTIzNDU=\n" * 100,
        "a\ttab\n" + NEUMANN_NOTE,
    ],
)
def test_notes_out_of_form_are_refused(note: str) -> None:
    with pytest.raises(NoteError):
        open_note(note, parse_verifier_key(NEUMANN))


def test_a_second_signature_of_the_key_must_hold_too() -> None:
    raw = bytearray(base64.b64decode(NEUMANN_NOTE.rstrip().rsplit(" ", 1)[1]))
    raw[-1] ^= 1
    line = f"— PeterNeumann {base64.b64encode(raw).decode()}\n"
    with pytest.raises(SignatureError):
        open_note(NEUMANN_NOTE + line, parse_verifier_key(NEUMANN))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        NEUMANN.replace("PeterNeumann", "Peter Neumann"),
        NEUMANN.replace("PeterNeumann", ""),
        NEUMANN.replace("PeterNeumann", "NeumannPeter"),
        NEUMANN.replace("c74f20a3", "C74F20A3"),
        NEUMANN.replace("c74f20a3", "c74f20a4"),
        NEUMANN.replace("+AR", "+AS"),
        NEUMANN[:-4],
        NEUMANN + "\n",
        NEUMANN + "+more",
    ],
)
def test_verifier_keys_out_of_form_are_refused(key: str) -> None:
    with pytest.raises(NoteError):
        parse_verifier_key(key)


def test_a_checkpoint_is_read() -> None:
    checkpoint = parse_checkpoint(f"log\n12\n{ROOT}\n")
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == ("log", 12, b"r" * 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"log\n12\n{ROOT}",
        f"log\n12\n{ROOT}\nextension\n",
        f"\n12\n{ROOT}\n",
        f"two words\n12\n{ROOT}\n",
        f"log\n012\n{ROOT}\n",
        f"log\n-1\n{ROOT}\n",
        f"log\n+1\n{ROOT}\n",
        f"log\n 1\n{ROOT}\n",
        f"log\n1_0\n{ROOT}\n",
        f"log\n\u0661\n{ROOT}\n",
        f"log\n\n{ROOT}\n",
        f"log\n{'9' * 19}\n{ROOT}\n",
        f"log\n12\n{ROOT[:-4]}\n",
        f"log\n12\n{ROOT}{ROOT}\n",
        f"log\n12\n{ROOT[:-2]}J=\n",
        f"log\n12\n{ROOT}\x0b\n",
    ],
)
def test_checkpoints_out_of_form_are_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse_checkpoint(text)
