"""A server of the user's own: a program that answers GET /ping and POST /invocations, started as `serve` would be.

It has no repositories, since it runs whatever the image's name is: a container asks for it by the variable `runtimes.SERVER` in its
Environment. docs/hosting.md says what such a program is given.
"""

from __future__ import annotations

from colonnade.runtimes import Runtime

RUNTIME = Runtime(name="http-server", repositories=(), libraries=(), framework_module="")
