"""Where the public pages are."""

START_PATH = "/privacy"
CATEGORIES_PATH = "/privacy/categories"
STYLE_PATH = "/privacy/style.css"
REQUESTS_PATH = "/privacy/requests"
PACKAGES_PATH = "/privacy/packages"
"""Letters of privacy lead here (`letters/correspondence.py`)."""
LOGIN_PATH = "/privacy/login"
"""Where Instagram sends persons back to; privacy names the same path to Instagram (`proofs/room.py`)."""


def status_path(status_code: str) -> str:
    """The status page of a request."""
    return f"{REQUESTS_PATH}/{status_code}"
