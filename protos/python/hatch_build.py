"""Puts the proto sources beside the stubs in a built wheel; an editable install reads them from the checkout."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Sources(BuildHookInterface):
    """Adds `igstats/**/*.proto`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Runs before a build; `version` is "standard" or "editable"."""
        if version == "standard":
            sources = Path(self.root).parent / "igstats"
            names = {str(path): f"igstats/{path.relative_to(sources)}" for path in sources.rglob("*.proto")}
            build_data["force_include"].update(names)
