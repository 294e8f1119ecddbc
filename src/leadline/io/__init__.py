"""Files in and out: pictures, their EXIF cameras, lists of inputs, map and point formats."""

from leadline.io.cameras import read_camera, read_cameras
from leadline.io.clouds import SHAPE_FORMATS, Mesh, PointCloud, save_shape
from leadline.io.colmap import write_colmap
from leadline.io.depth_files import DEPTH_SUFFIXES, Hole, find_holes, hole_mask, read_depth_map
from leadline.io.formats import FORMATS, format_of, output_suffixes
from leadline.io.glb import make_glb, write_glb
from leadline.io.images import list_images, read_image
from leadline.io.ledger import Ledger
from leadline.io.normal_maps import NormalConvention, decode_normals, encode_normals, write_normals
from leadline.io.npz import read_npy, read_npz, write_npz
from leadline.io.pfm import read_pfm, write_pfm
from leadline.io.ply import write_ply
from leadline.io.png16 import (
    Png16,
    decode_png16,
    encode_png16,
    is_map,
    read_depth_png,
    read_png16,
    read_png16_record,
    record_chunk,
    write_png16,
)
from leadline.io.poses import read_poses, write_poses
from leadline.io.text import parse_list
from leadline.io.tone import TONES, Tone
from leadline.io.video import VIDEO_SUFFIXES, is_video, read_video

__all__ = [
    "DEPTH_SUFFIXES",
    "FORMATS",
    "SHAPE_FORMATS",
    "TONES",
    "VIDEO_SUFFIXES",
    "Hole",
    "Ledger",
    "Mesh",
    "NormalConvention",
    "Png16",
    "PointCloud",
    "Tone",
    "decode_normals",
    "decode_png16",
    "encode_normals",
    "encode_png16",
    "find_holes",
    "format_of",
    "hole_mask",
    "is_map",
    "is_video",
    "list_images",
    "make_glb",
    "output_suffixes",
    "parse_list",
    "read_camera",
    "read_cameras",
    "read_depth_map",
    "read_depth_png",
    "read_image",
    "read_npy",
    "read_npz",
    "read_pfm",
    "read_png16",
    "read_png16_record",
    "read_poses",
    "read_video",
    "record_chunk",
    "save_shape",
    "write_colmap",
    "write_glb",
    "write_normals",
    "write_npz",
    "write_pfm",
    "write_ply",
    "write_png16",
    "write_poses",
]
