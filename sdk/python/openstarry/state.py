"""Values by key, each with a version: those of one agent, or those that all share."""

from __future__ import annotations

import dataclasses
from typing import Any, List, Mapping, Optional

from .client import Client, segment
from .errors import DaemonError

_PAGE = 100


@dataclasses.dataclass
class StateEntry:
    key: str
    value: Any
    #: Grows with each write of the key, also across a deletion.
    version: int
    updated_at: str = ""
    expires_at: Optional[str] = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "StateEntry":
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in given.items() if key in known})


class StateScope:
    def __init__(self, client: Client, path: str) -> None:
        """path: such as /state/shared"""
        self._client = client
        self._path = path

    def get(self, key: str) -> Optional[StateEntry]:
        """None if there is none."""
        try:
            return StateEntry.of(self._client.json("GET", self._path_of(key)))
        except DaemonError as error:
            if error.code == "STATE_NOT_FOUND":
                return None
            raise

    def put(self, key: str, value: Any, ttl: Optional[str] = None) -> StateEntry:
        """ttl: gone after so long, such as "1h"."""
        body = {"value": value, **({} if ttl is None else {"ttl": ttl})}
        return StateEntry.of(self._client.json("PUT", self._path_of(key), body=body))

    def compare_and_set(self, key: str, expected_version: int, value: Any, ttl: Optional[str] = None) -> StateEntry:
        """Writes only if the entry still has that version; 0: only if there is none. Where the daemon does not answer,
        whether it was written is not known: then this fails instead of trying again. Raises DaemonError VERSION_CONFLICT
        with details["version"]."""
        body = {"value": value, "expected_version": expected_version, **({} if ttl is None else {"ttl": ttl})}
        return StateEntry.of(self._client.json("PUT", self._path_of(key), body=body, repeatable=False))

    def delete(self, key: str, expected_version: Optional[int] = None) -> bool:
        """Whether there was one. Raises DaemonError VERSION_CONFLICT if it has another version."""
        query = {"expected_version": expected_version}
        return bool(self._client.json("DELETE", self._path_of(key), query=query)["deleted"])

    def list(self, prefix: str = "") -> List[StateEntry]:
        """All entries whose key begins so, by key."""
        entries: List[StateEntry] = []
        after: Optional[str] = None
        while True:
            query = {"prefix": prefix or None, "after": after, "limit": _PAGE}
            page = self._client.json("GET", self._path, query=query)
            entries.extend(StateEntry.of(each) for each in page["entries"])
            after = page["next"]
            if after is None:
                return entries

    def _path_of(self, key: str) -> str:
        return "%s/%s" % (self._path, segment(key))
