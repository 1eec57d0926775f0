"""What each peer is configured with. All do the same work: keep connections to the upstream, add the X-Forwarded
headers, write an access log to a file; each is tuned as its own documentation advises for that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Site(NamedTuple):
    """Where a peer works, and where it finds the upstreams. `quick` answers small requests, `light` does the rest."""

    folder: Path
    quick: int
    light: int
    upstream_quick: int
    upstream_light: int

    @property
    def pairs(self) -> tuple[tuple[str, int, int], ...]:
        return (("quick", self.quick, self.upstream_quick), ("light", self.light, self.upstream_light))

    def write(self, name: str, text: str) -> str:
        file = self.folder / name
        file.write_text(text)
        return str(file)


class Launch(NamedTuple):
    """A command line and what it needs beside the environment at hand."""

    command: list[str]
    env: Mapping[str, str] = {}


NGINX_COMMON = """
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log {log};
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  client_max_body_size 0;
  tcp_nodelay on;
"""
NGINX_PROXY = """
  proxy_http_version 1.1;
  proxy_request_buffering off;
  proxy_buffer_size 256k;
  proxy_buffers 8 256k;
  proxy_busy_buffers_size 512k;
  proxy_max_temp_file_size 0;
  client_body_buffer_size 256k;
  map $http_upgrade $connection_up {{ default upgrade; "" ""; }}
"""
NGINX_SITE = """
  upstream {name} {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://{name};
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_up;
    }}
  }}
"""


def nginx_head(folder: Path, log: str) -> str:
    return NGINX_COMMON.format(folder=folder, log=log, user="user root;" if os.geteuid() == 0 else "")


def nginx(program: str, site: Site) -> Launch:
    text = nginx_head(site.folder, f"{site.folder}/access.log combined buffer=64k flush=1s") + NGINX_PROXY.format()
    text += "".join(NGINX_SITE.format(name=name, port=port, upstream=upstream) for name, port, upstream in site.pairs)
    config = site.write("nginx.conf", text + "}\n")
    return Launch([program, "-p", str(site.folder), "-c", config, "-e", f"{site.folder}/error.log"])


def nginx_upstream(program: str, folder: Path, port: int) -> Launch:
    """nginx as what is behind the proxies: 200 bytes, no log."""
    server = f'  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "{"x" * 200}"; }} }}\n}}\n'
    config = folder / "upstream.conf"
    config.write_text(nginx_head(folder, "off") + server)
    return Launch([program, "-p", str(folder), "-c", str(config), "-e", f"{folder}/error.log"])


def haproxy(program: str, site: Site) -> Launch:
    text = (
        "global\n  nbthread 1\n  maxconn 4000\n  log stdout format raw local0\n"
        "defaults\n  mode http\n  log global\n  option httplog\n  option forwardfor\n  option http-no-delay\n"
        "  option splice-request\n  option splice-response\n  http-reuse always\n  timeout connect 5s\n"
        "  timeout client 10m\n  timeout server 10m\n  timeout tunnel 10m\n"
    )
    for name, port, upstream in site.pairs:
        text += f"frontend {name}\n  bind 127.0.0.1:{port} backlog 4096\n  default_backend to_{name}\n"
        text += "  http-request set-header X-Forwarded-Proto http\n"
        text += f"backend to_{name}\n  server only 127.0.0.1:{upstream}\n"
    return Launch([program, "-db", "-f", site.write("haproxy.cfg", text)])


def caddy(program: str, site: Site) -> Launch:
    text = "{\n  admin off\n  auto_https off\n  persist_config off\n}\n"
    for name, port, upstream in site.pairs:
        text += (
            f"http://:{port} {{\n  bind 127.0.0.1\n  log {{\n    output file {site.folder}/{name}.log\n  }}\n"
            f"  reverse_proxy 127.0.0.1:{upstream} {{\n    transport http {{\n"
            "      keepalive_idle_conns_per_host 1024\n    }\n  }\n}\n"
        )
    config = site.write("Caddyfile", text)
    env = {"XDG_DATA_HOME": str(site.folder), "XDG_CONFIG_HOME": str(site.folder), "GOMAXPROCS": "1"}
    return Launch([program, "run", "--config", config, "--adapter", "caddyfile"], env)


def traefik(program: str, site: Site) -> Launch:
    dynamic = "http:\n  serversTransports:\n    warm: {maxIdleConnsPerHost: 1024}\n  routers:\n"
    for name, _, _ in site.pairs:
        dynamic += f'    {name}: {{entryPoints: [{name}], rule: "PathPrefix(`/`)", service: {name}}}\n'
    dynamic += "  services:\n"
    for name, _, upstream in site.pairs:
        balancer = f"{{serversTransport: warm, servers: [{{url: 'http://127.0.0.1:{upstream}'}}]}}"
        dynamic += f"    {name}: {{loadBalancer: {balancer}}}\n"
    static = "entryPoints:\n"
    for name, port, _ in site.pairs:
        timeouts = "{respondingTimeouts: {readTimeout: 0s}}"
        static += f"  {name}: {{address: '127.0.0.1:{port}', transport: {timeouts}}}\n"
    static += (
        f"providers: {{file: {{filename: '{site.write('dynamic.yml', dynamic)}', watch: false}}}}\n"
        f"accessLog: {{filePath: '{site.folder}/access.log', bufferingSize: 1000}}\n"
        "log: {level: ERROR}\nglobal: {checkNewVersion: false, sendAnonymousUsage: false}\n"
    )
    return Launch([program, f"--configFile={site.write('traefik.yml', static)}"], {"GOMAXPROCS": "1"})


def usual(python: str, site: Site, name: str) -> Launch:
    """FastAPI and httpx under uvicorn: one process for one upstream."""
    port, upstream = {row[0]: row[1:] for row in site.pairs}[name]
    words = ["-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--log-level", "info"]
    here = str(Path(__file__).parent)
    env = {"UPSTREAM": f"http://127.0.0.1:{upstream}"}
    return Launch([python, *words, "--app-dir", here, "--backlog", "4096", "usual_proxy:app"], env)


def hestia(python: str, site: Site, loop: str, services: str = "") -> Launch:
    """Everything is on that a user has on. `services` are further ones, as YAML."""
    text = f"listen: ['127.0.0.1:{site.quick}']\ndata_dir: {site.folder}/data\nservices:\n  ollama: null\n"
    for name, _, upstream in site.pairs:
        text += f"  {name}: {{base_url: 'http://127.0.0.1:{upstream}'}}\n"
    config = site.write("hestia.yml", text + services)
    socket = str(site.folder / "control.sock")
    command = [python, "-m", "hestia.cli.hestia", "serve", "--config", config, "--control-socket", socket]
    return Launch(command, {"HESTIA_LOOP": loop, "PYTHONPATH": str(Path(__file__).parents[1])})
