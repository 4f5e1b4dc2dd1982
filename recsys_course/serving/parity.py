"""Is what is served what was trained?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def differing_users(live: Mapping[str, Sequence[str]], served: Mapping[str, Sequence[str]]) -> list[str]:
    """The users whose list is not the same in both. Built in chapter 5.

    Args:
        live: for each user id the movie ids that the model in memory recommends, best first.
        served: the same from an artefact.

    Returns:
        The ids, sorted: users of whom only one of the two knows, and users whose lists differ in a film, in length or
        in order.
    """
    users = live.keys() | served.keys()
    missing = object()
    return sorted(user for user in users if _list(live.get(user, missing)) != _list(served.get(user, missing)))


def _list(found: object) -> object:
    return list(found) if isinstance(found, Sequence) else found
