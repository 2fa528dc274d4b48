"""Without partners the doors for machines are shut, each as its protocol says."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("POST", "/v1/agent/CR_AGENT", 403),
        ("GET", "/v1/agent/CR_AGENT", 403),
        ("POST", "/v1/data-rights-request", 403),
        ("GET", "/opendsr/v2/discovery", 404),
        ("POST", "/opendsr/v2/requests", 404),
        ("POST", "/opendsr/v1/opengdpr_requests", 404),
        ("GET", "/opendsr/certificate.pem", 404),
        ("GET", "/dsrdelete.json", 404),
        ("POST", "/iab/deletions", 404),
        ("POST", "/ketch/dsr", 404),
    ],
)
async def test_a_door_without_partners_is_shut(gateway: Any, verb: str, path: str, status: int) -> None:
    async with gateway.http.request(verb, path, data=b"x") as response:
        assert response.status == status
    assert gateway.others.doorkeeper.openings == []
