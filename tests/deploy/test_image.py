"""The image: one file for every service, no root, only what the service declares."""

import re

from codebase import ROOT

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def test_the_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


def test_the_python_that_runbooks_call_is_the_one_that_has_the_service() -> None:
    built, final = DOCKERFILE.split("FROM ${BASE}\n")
    assert "UV_PROJECT_ENVIRONMENT=/app" in built
    assert re.findall(r"^ENV PATH=(\S+)", final, re.MULTILINE) == ["/app/bin:$PATH"]


def test_the_service_and_the_image_below_are_arguments() -> None:
    assert {"ARG BASE=python:3.11-slim", "ARG SERVICE"} <= set(DOCKERFILE.splitlines())
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}


def test_nothing_is_copied_that_is_not_there() -> None:
    sources = [
        part for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for part in line.split()[:-1]
    ]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_only_the_chosen_service_is_installed_without_tools_and_as_locked() -> None:
    (sync,) = re.findall(r"uv sync (.*)$", DOCKERFILE, re.MULTILINE)
    assert sync.split() == ["--frozen", "--no-dev", "--no-editable", "--package", '"igstats-${SERVICE}"']
