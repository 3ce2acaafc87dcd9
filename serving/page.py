"""The page at ``/``: which models are served, and where everything is. It runs nothing."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from riskscore import RiskModel, __version__
from serving.models import Models
from serving.problems import Reply

__all__ = ["POLICY", "page"]

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5b6b7b; --line: #d9e0e7; --paper: #fff;
  --back: #f4f6f8; --link: #0b5cad; --warn: #8a4b00; --warn-back: #fff4e0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9fb0c0; --line: #334150;
  --paper: #1b242d; --back: #12181e; --link: #7db8f5; --warn: #ffce8a; --warn-back: #3a2c14; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 0; }
p { margin: .5rem 0; }
a { color: var(--link); }
code { font: .875em/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
.lead, .about { color: var(--soft); }
article { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.1rem 1.25rem; margin: 1rem 0; }
header { display: flex; flex-wrap: wrap; gap: .5rem; align-items: baseline;
  justify-content: space-between; }
.status { border: 1px solid var(--line); border-radius: 99px; padding: .05rem .7rem;
  font-size: .875rem; white-space: nowrap; }
.statement { background: var(--warn-back); color: var(--warn); border-radius: 6px;
  padding: .6rem .8rem; font-size: .9375rem; }
nav { display: flex; gap: 1.25rem; margin-top: .75rem; }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: .9rem;
  overflow-x: auto; }
"""

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The page's header Content-Security-Policy: its own style and nothing else."""


def page(models: Models) -> Reply:
    """Return the page, made from the manifests of the models that are served."""
    articles = "".join(_article(models, model) for model in models)
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>riskscore: survival risk scores</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>riskscore</h1>
<p class="lead">Survival predictions from checked models, version {escape(__version__)}.
Nothing that is sent is logged or kept.</p>
{articles}
<h2>Asking</h2>
<p>Send patients to <code>POST /v1/predict</code>. The interface is described in
<a href="/openapi.json">openapi.json</a>; <a href="/v1/models">/v1/models</a> lists the models for
programs.</p>
</main>
</body>
</html>
"""
    return Reply(200, text.encode(), "text/html; charset=utf-8")


def _article(models: Models, model: RiskModel) -> str:
    manifest, told = model.manifest, models.detail(model.manifest.id)
    address = escape(f"/v1/models/{manifest.id}")
    withdrawn = told["withdrawn"]
    status = "withdrawn" if withdrawn else told["review"]["status"]
    default = " · answers where no model is named" if manifest.id == models.default else ""
    card = f'<a href="{address}/card">Model card</a>' if told["card"] else ""
    why = f'<p class="statement">This model {escape(withdrawn)}</p>' if withdrawn else ""
    return f"""<article>
<header><h2>{escape(manifest.outcome.label)} · {escape(manifest.study.title)}</h2>
<span class="status">{escape(status)}</span></header>
<p class="about"><code>{escape(manifest.id)}</code> · {escape(manifest.kind)}{default}<br>
<code>{escape(model.digest)}</code></p>
{why}<p>For: {escape(manifest.study.population)}</p>
<p class="statement">{escape(manifest.statement)}</p>
<p class="about">Review: {escape(told["review"]["label"])}</p>
<nav>{card}<a href="{address}">Manifest</a></nav>
</article>
"""
