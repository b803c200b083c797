"""What the server itself allows: a bare Starlette route with one matrix product and a top ten."""

import os
from pathlib import Path

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.rivals import FOLDER

with np.load(Path(os.environ[FOLDER]) / "factors.npz") as _factors:
    USERS, ITEMS = _factors["users"], _factors["items"]


async def recommend(request: Request) -> JSONResponse:
    """The ten items of the highest product."""
    asked = await request.json()
    scores = ITEMS @ USERS[asked["learner"]]
    top = np.argpartition(-scores, asked["limit"])[: asked["limit"]]
    top = top[np.argsort(-scores[top])]
    return JSONResponse({"items": top.tolist(), "scores": scores[top].tolist()})


async def ready(request: Request) -> JSONResponse:
    """Whether it answers."""
    return JSONResponse({})


app = Starlette(routes=[Route("/recommend", recommend, methods=["POST"]), Route("/readyz", ready)])
