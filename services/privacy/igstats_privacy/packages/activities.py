"""Posts as the Data Transfer Project carries them, so that another service can take them in. Pure.

The form is what its generic importer sends (dtinit/data-transfer-project: SocialPostsSerializer, SocialActivityModel).
"""

from collections.abc import Mapping
from typing import Any

SOURCE = ("stats", "media")
AUTHORS = ("stats", "profiles")
PATH = "data-transfer-project/social-posts"


def activity(post: Mapping[str, Any], author: Mapping[str, Any]) -> dict[str, Any]:
    """One post by its author."""
    username = author.get("username")
    return {
        "@type": "SocialActivity",
        "metadata": {
            "@type": "SocialActivityMetadata",
            "actor": {
                "@type": "SocialActivityActor",
                "id": author.get("instagram_user_id", ""),
                "name": author.get("name") or username,
                "url": f"https://www.instagram.com/{username}/" if username else None,
            },
        },
        "activity": {
            "@type": "SocialActivityModel",
            "id": post["media_id"],
            "published": post["posted_at"],
            "type": "POST",
            "attachments": [],
            "location": None,
            "title": None,
            "content": post["caption"],
            "url": post["permalink"],
        },
    }


def _object(kind: str, **properties: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON Schema
    return {
        "type": "object",
        "properties": {"@type": {"const": kind}, **properties},
        "required": ["@type", *properties],
        "additionalProperties": False,
    }


def activity_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one line, from the published types of the Data Transfer Project."""
    text, maybe = {"type": "string"}, {"type": ["string", "null"]}
    actor = _object("SocialActivityActor", id=text, name=maybe, url=maybe)
    model = _object(
        "SocialActivityModel",
        id=text,
        published={"type": "string", "format": "date-time"},
        type={"enum": ["CHECKIN", "POST", "NOTE"]},
        attachments={"type": "array"},
        location={"type": ["object", "null"]},
        title=maybe,
        content=maybe,
        url=maybe,
    )
    whole = _object("SocialActivity", metadata=_object("SocialActivityMetadata", actor=actor), activity=model)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:igstats:export:v2:data-transfer-project:social-posts",
        "title": "Posts as SocialActivity of the Data Transfer Project",
        **whole,
    }
