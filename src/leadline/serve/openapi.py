"""What OpenAPI says of bodies and answers, with examples."""

from __future__ import annotations

from typing import Any

_MODEL = {
    "name": "lite",
    "state": "ready",
    "kind": "affine_disparity",
    "unit": "1",
    "licence": "Apache-2.0",
}
_FAULTS = {
    400: ("unknown_option", "option colour: model, format, cmap, fov are known."),
    404: ("unknown_model", "model 'x' is not served here; lite are."),
    408: ("too_slow", "the upload took more than 60 s; send it faster or make it smaller."),
    413: ("too_large", "a body of 80.0 MB: at most 64 MB are taken; make the picture smaller."),
    422: ("unusable_input", "the picture is damaged."),
    429: ("busy", "32 pictures wait already; try again in 4 s."),
    503: ("loading", "lite is being loaded; try again."),
    504: ("timeout", "no answer within 60 s; give a smaller picture, or try again later."),
}
"""Status -> code and sentence of an example."""


def make_faults(*statuses: int) -> dict[str, Any]:
    """The answers to faults of these statuses."""
    return {
        str(status): {
            "description": _FAULTS[status][0],
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Fault"},
                    "example": {
                        "error": _FAULTS[status][1],
                        "code": _FAULTS[status][0],
                        "status": status,
                    },
                }
            },
        }
        for status in statuses
    }


FAULT_SCHEMA = {
    "type": "object",
    "required": ["error", "code", "status"],
    "properties": {
        "error": {"type": "string", "description": "One sentence for people."},
        "code": {"type": "string", "description": "One word for programs."},
        "status": {"type": "integer"},
    },
}

_BINARY = {"type": "string", "format": "binary"}


def make_option(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    """An option of the query, which a form may hold as a field in its place."""
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


OPTIONS = [
    make_option("model", {"type": "string"}, "Name of a model; the first that is served."),
    make_option(
        "fov",
        {"type": "number", "minimum": 5, "maximum": 150},
        "Horizontal field of view in degrees, in place of the picture's EXIF.",
    ),
]
PICTURE = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": _BINARY, "model": {"type": "string"}},
            }
        },
        "image/*": {"schema": _BINARY},
    },
}
CLOUD = {
    "parameters": [
        *OPTIONS,
        make_option("format", {"enum": ["glb", "ply", "html"]}, "As Accept says."),
        make_option("shape", {"enum": ["points", "mesh"]}, "points, or mesh with its texture."),
        make_option("max_depth", {"type": "number"}, "Metres; what is farther is left out."),
        make_option("relief", {"type": "number"}, "Make a depth up, for looks, this soft."),
        make_option("points", {"type": "integer"}, "At most; one for every pixel."),
        make_option("edges", {"type": "string"}, "cut or keep."),
        make_option("sky", {"type": "string"}, "cut or keep."),
    ],
    "requestBody": PICTURE,
    "responses": {
        "200": {
            "description": "A file in the camera's frame; glb and html are y-up.",
            "headers": {
                "X-Cloud-Points": {"schema": {"type": "integer"}, "example": "76800"},
                "X-Cloud-Unit": {"schema": {"type": "string"}, "example": "m"},
            },
            "content": {
                "model/gltf-binary": {"schema": _BINARY},
                "application/ply": {"schema": _BINARY},
                "text/html": {"schema": _BINARY},
            },
        },
        **make_faults(400, 404, 408, 413, 422, 429, 503, 504),
    },
}
MEASURE = {
    "parameters": [
        *OPTIONS,
        make_option("points", {"type": "string"}, "Pixels, x,y x,y ..., two or more."),
        make_option("what", {"enum": ["distance", "area", "angle"]}, "Of what."),
        make_option("plane", {"type": "string"}, "Pixels of a plane on which all points lie."),
    ],
    "requestBody": PICTURE,
    "responses": {
        "200": {
            "description": "The value, and its 90 % interval where the model's errors are known.",
            "content": {
                "application/json": {
                    "example": {
                        "quantity": "distance",
                        "value": 1.93,
                        "low": 1.6,
                        "high": 2.3,
                        "unit": "m",
                        "points": [[0, 0, 2], [1.93, 0, 2]],
                    }
                }
            },
        },
        **make_faults(400, 404, 408, 413, 422, 429, 503, 504),
    },
}
STEREO_VIEW = {
    "parameters": [
        *OPTIONS,
        make_option("packing", {"enum": ["sbs", "half-sbs", "anaglyph"]}, "How both are packed."),
        make_option("divergence", {"type": "number"}, "Percent of half the width, up to 10."),
        make_option("convergence", {"type": "number"}, "What lies in the screen, 0 to 1."),
    ],
    "requestBody": PICTURE,
    "responses": {
        "200": {"description": "A picture.", "content": {"image/png": {"schema": _BINARY}}},
        **make_faults(400, 404, 408, 413, 422, 429, 503, 504),
    },
}
FILM = {
    "parameters": [
        OPTIONS[0],
        make_option("format", {"type": "string"}, "color, side, gray16, sbs, half-sbs, anaglyph."),
        make_option("cmap", {"type": "string"}, "Colour map of color and side."),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["film"],
                    "properties": {"film": _BINARY, "model": {"type": "string"}},
                }
            },
            "video/*": {"schema": _BINARY},
        },
    },
    "responses": {
        "202": {
            "description": "The film waits.",
            "content": {
                "application/json": {
                    "example": {
                        "id": "q3Vt",
                        "state": "waiting",
                        "model": "lite",
                        "format": "color",
                        "frames": 0,
                        "total": None,
                        "error": None,
                    }
                }
            },
        },
        **make_faults(400, 404, 408, 413, 422, 429, 503),
    },
}
PAIR = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["left", "right"],
                    "properties": {"left": _BINARY, "right": _BINARY, "fov": {"type": "number"}},
                }
            }
        },
    },
    "responses": {
        "200": {
            "description": "Points of both pictures row by row, and lines of the other's points.",
            "content": {
                "application/json": {
                    "example": {
                        "matches": 812,
                        "inliers": 640,
                        "fundamental": [[0, 0, 0], [0, 0, -1], [0, 1, 0]],
                        "left": {
                            "width": 640,
                            "height": 480,
                            "points": [[10.5, 20.25]],
                            "lines": [[[-0.5, 20.25], [639.5, 20.25]]],
                        },
                        "points": {"unit": "baseline", "xyz": [[0, 0, 5]], "rgb": [[9, 9, 9]]},
                        "why_no_points": None,
                    }
                }
            },
        },
        **make_faults(400, 408, 413, 422, 429, 504),
    },
}
INFER = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "example": {
                    "inputs": [
                        {
                            "name": "image",
                            "datatype": "BYTES",
                            "shape": [1],
                            "data": ["base64 of a JPEG"],
                        }
                    ],
                    "outputs": [{"name": "depth", "parameters": {"binary_data": False}}],
                }
            },
            "application/octet-stream": {"schema": _BINARY},
        },
    },
    "responses": {
        "200": {
            "description": "Tensors, in JSON or behind it.",
            "content": {
                "application/json": {
                    "example": {
                        "model_name": "lite",
                        "model_version": "1",
                        "parameters": {"kind": "affine_disparity", "unit": "1"},
                        "outputs": [
                            {
                                "name": "depth",
                                "datatype": "FP32",
                                "shape": [1, 1, 2],
                                "data": [1.5, 2.5],
                            }
                        ],
                    }
                }
            },
        },
        **make_faults(400, 404, 413, 422, 429, 503, 504),
    },
}
MODELS = {
    "responses": {
        "200": {
            "description": "Names, kinds, units, licences and states.",
            "content": {"application/json": {"example": {"models": [_MODEL]}}},
        }
    }
}
DEPTH = {
    "parameters": [
        *OPTIONS,
        make_option("format", {"type": "string"}, "raw, json, npz, png16 ...; as Accept says."),
        make_option("cmap", {"type": "string"}, "Colour map of the formats color and side."),
    ],
    "requestBody": PICTURE,
    "responses": {
        "200": {
            "description": "The map; headers X-Depth-* say what its numbers mean.",
            "headers": {
                "X-Depth-Kind": {"schema": {"type": "string"}, "example": "metric_depth"},
                "X-Depth-Unit": {"schema": {"type": "string"}, "example": "m"},
                "X-Depth-Shape": {"schema": {"type": "string"}, "example": "480,640"},
                "X-Depth-Model": {"schema": {"type": "string"}, "example": "lite-metric"},
                "X-Depth-Licence": {"schema": {"type": "string"}, "example": "Apache-2.0"},
            },
            "content": {
                "application/json": {"example": {"kind": "metric_depth", "unit": "m"}},
                "application/x-npz": {"schema": _BINARY},
                "application/octet-stream": {"schema": _BINARY},
                "image/png": {"schema": _BINARY},
            },
        },
        **make_faults(400, 404, 408, 413, 422, 429, 503, 504),
    },
}
