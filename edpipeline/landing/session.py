"""The connections that requests go over: what they take along, and when one will never work."""

import logging
from http.cookiejar import DefaultCookiePolicy

import requests
import urllib3

from edpipeline import __version__
from edpipeline.api import Http


def new_session(http: Http) -> requests.Session:
    """A session without a vendor's cookies, and without anything from the environment."""
    # urllib3 logs URLs with their parameters: below WARNING all of them, above it odd ones.
    for name, level in (("urllib3", logging.WARNING), ("urllib3.connectionpool", logging.ERROR)):
        logging.getLogger(name).setLevel(level)
    session = requests.Session()
    session.trust_env = False
    session.verify = http.ca_file or True
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update(
        {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"edpipeline/{__version__}",
        }
    )
    return session


def lasting_trouble(error: Exception) -> str:
    """What is wrong where trying again cannot help; empty where it can."""
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY" in str(error):
        return "the server's certificate is not one we trust; nothing was sent"
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return ""
    if isinstance(error, urllib3.exceptions.DecodeError):
        return "the answer cannot be unpacked"
    if isinstance(error, requests.RequestException | ValueError):
        return "the request cannot be made; check the base URL and the secrets"
    return ""
