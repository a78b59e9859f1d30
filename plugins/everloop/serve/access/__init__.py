"""Who may ask the scoring service for what, and how often."""

from everloop.api_key import Scope
from everloop.serve.access.access import Access
from everloop.serve.access.keys import Key, Keyring, presented_key

__all__ = ["Access", "Key", "Keyring", "Scope", "presented_key"]
