"""An nginx configured from deploy/kong/kong.yml, in place of Kong: routes, upstreams, keys and size limits."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import yaml

from tests.e2e.servers import Program
from tests.support.waiting import free_port

KONG = Path(__file__).parents[2] / "deploy" / "kong" / "kong.yml"
#: An address where no server listens.
NOWHERE = "127.0.0.1:9"
_UNITS = {"bytes": "", "kilobytes": "k", "megabytes": "m"}

_WHOLE = """
daemon off; user root; pid nginx.pid; error_log errors warn; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  {paths}
  client_max_body_size {size};
  map $http_x_api_key $known {{ default 0; {keys} }}
  {upstreams}
  server {{
    listen {listen} backlog=1024;
    proxy_http_version 1.1;
    proxy_next_upstream error timeout;
    {locations}
    location / {{ return 404; }}
  }}
}}
"""
_LOCATION = """
    location {path} {{
      {guard}
      rewrite ^{stripped}(.*)$ {base}$1 break;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Prefix "{stripped}";
      proxy_set_header X-API-Key "";
      proxy_set_header X-Correlation-Id $request_id;
      add_header X-Correlation-Id $request_id always;
      proxy_pass http://{upstream};
    }}
"""


def table() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(KONG.read_text())
    return read


def configuration(kong: Mapping[str, Any], places: Mapping[str, str], listen: str, folder: Path) -> str:
    """Return the configuration of nginx. `places` has the local address of each upstream target (name:port)."""
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    size = next(plugin["config"] for plugin in kong["plugins"] if plugin["name"] == "request-size-limiting")
    keys = [credential["key"] for consumer in kong["consumers"] for credential in consumer["keyauth_credentials"]]
    return _WHOLE.format(
        paths=" ".join(f"{name}_temp_path {folder / name};" for name in temporary),
        size=f"{size['allowed_payload_size']}{_UNITS[size['size_unit']]}",
        keys=" ".join(f'"{key}" 1;' for key in keys),
        upstreams="\n  ".join(_upstreams(kong, places)),
        listen=listen,
        locations="".join(_locations(kong)),
    )


def _upstreams(kong: Mapping[str, Any], places: Mapping[str, str]) -> Iterator[str]:
    several = {each["name"]: [target["target"] for target in each["targets"]] for each in kong["upstreams"]}
    alone = {host: [host] for service in kong["services"] if (host := urlsplit(service["url"]).netloc) not in several}
    for name, targets in (several | alone).items():
        servers = " ".join(f"server {places.get(target, NOWHERE)} max_fails=1 fail_timeout=1s;" for target in targets)
        yield f"upstream {name.replace(':', '.')} {{ {servers} keepalive 32; }}"


def _locations(kong: Mapping[str, Any]) -> Iterator[str]:
    for service in kong["services"]:
        url = urlsplit(service["url"])
        guarded = any(plugin["name"] == "key-auth" for plugin in service.get("plugins", ()))
        for route in service["routes"]:
            for path in route["paths"]:
                yield _LOCATION.format(
                    path=path,
                    guard="if ($known = 0) { return 401; }" if guarded else "",
                    stripped=path if route.get("strip_path", True) else "",
                    base=url.path,
                    upstream=url.netloc.replace(":", "."),
                )


class Gateway(Program):
    def __init__(self, folder: Path, places: Mapping[str, str], listen: str | None = None) -> None:
        listen = listen or f"127.0.0.1:{free_port()}"
        (folder / "nginx.conf").write_text(configuration(table(), places, listen, folder))
        super().__init__(folder, f"http://{listen}", ["nginx", "-p", str(folder), "-c", "nginx.conf"])

    def answers(self) -> bool:
        try:
            return requests.get(self.url, timeout=2).status_code == requests.codes.not_found
        except requests.ConnectionError:
            return False
