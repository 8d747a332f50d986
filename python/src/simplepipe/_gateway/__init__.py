"""A Pushgateway over HTTP."""

from simplepipe._gateway.address import Address
from simplepipe._gateway.client import Client
from simplepipe._gateway.group import Group
from simplepipe._gateway.retry import Backoff
from simplepipe._gateway.settings import Credentials, Settings

__all__ = ["Address", "Backoff", "Client", "Credentials", "Group", "Settings"]
