import json
from pathlib import Path

import pytest
from igstats_dev import account


def test_what_the_stack_wrote_can_be_read(tmp_path: Path) -> None:
    fields = dict.fromkeys(account.Access.__dataclass_fields__, "x")
    (tmp_path / "env").write_text(json.dumps(fields | {"newer": "ignored"}))
    assert account.read(tmp_path) == account.Access(**fields)


def test_a_folder_without_a_stack_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        account.read(tmp_path)
