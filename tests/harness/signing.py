"""AWS's request signature, version 4, for the calls to a test's S3 server that obstore does not make."""

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import quote

import httpx


def signed_headers(
    method: str, url: httpx.URL, body: bytes, *, access: str, secret: str, region: str, service: str
) -> dict[str, str]:
    """The headers that sign a request; form: AWS, "Create a signed AWS API request"."""
    now = datetime.now(UTC)
    day, moment = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}"
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": url.netloc.decode(), "x-amz-content-sha256": digest, "x-amz-date": moment}
    pairs = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in url.params.multi_items())
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            method,
            quote(url.path, safe="/-_.~"),
            "&".join(f"{k}={v}" for k, v in pairs),
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            names,
            digest,
        ]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}"
    return headers | {"authorization": f"AWS4-HMAC-SHA256 {credential}"}
