"""How the text of a configuration value is read: markers for the annotations of the structs in `spec`.

A marker names a reader of `rules/scalars`; the decoder, the JSON Schema and the key reference all go by it,
so what a key accepts is said once, where the key is declared.
"""

from typing import Annotated, NamedTuple

from msgspec import Meta


class Reads(NamedTuple):
    """The reader of this scalar, and whether its text must never be quoted."""

    name: str
    secret: bool = False


class Shown(NamedTuple):
    """The default as people read it, where the struct's own default does not say it."""

    text: str


class OneOrMany(NamedTuple):
    """A list of one may be written without its brackets."""


def says(sentence: str) -> Meta:
    """The one sentence that describes a key, everywhere."""
    return Meta(description=sentence)


ONE_OR_MANY = OneOrMany()

Duration = Annotated[float, Reads("duration")]
AutoDuration = Annotated[float, Reads("auto_duration"), Shown("auto")]
PositiveDuration = Annotated[float, Reads("positive_duration")]
AutoPositive = Annotated[float, Reads("auto_positive"), Shown("auto")]
Size = Annotated[int, Reads("size")]
Count = Annotated[int, Reads("count")]
Positive = Annotated[int, Reads("positive")]
Amount = Annotated[float, Reads("amount")]
Port = Annotated[int, Reads("port")]
Secret = Annotated[str, Reads("secret", secret=True)]
FreeSecret = Annotated[str, Reads("free_secret", secret=True)]
Sha256 = Annotated[str, Reads("sha256", secret=True)]
PasswordHash = Annotated[str, Reads("password_hash", secret=True)]
HeaderValue = Annotated[str, Reads("header_value", secret=True)]
HeaderName = Annotated[str, Reads("header_name")]
Method = Annotated[str, Reads("method")]
Listen = Annotated[str, Reads("listen")]
BaseUrl = Annotated[str, Reads("base_url", secret=True)]
HealthUrl = Annotated[str, Reads("health_url", secret=True)]
HttpUrl = Annotated[str, Reads("http_url", secret=True)]
Origin = Annotated[str, Reads("origin")]
Network = Annotated[str, Reads("network")]
HostGlob = Annotated[str, Reads("host_glob")]
Pattern = Annotated[str, Reads("regex")]
PathGlob = Annotated[str, Reads("path_glob")]
Folder = Annotated[str, Reads("path")]
File = Annotated[str, Reads("file")]
ServiceId = Annotated[str, Reads("service_id")]
Timezone = Annotated[str, Reads("timezone")]
Mac = Annotated[str, Reads("mac")]
Signal = Annotated[str, Reads("signal")]
Status = Annotated[int, Reads("status")]
StatusRange = Annotated[tuple[int, int], Reads("status_range")]
TlsVerify = Annotated[bool | str, Reads("tls_verify")]
