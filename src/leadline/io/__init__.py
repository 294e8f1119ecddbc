"""Files in and out: pictures, their EXIF cameras, lists of inputs, map and point formats."""

from leadline.io.cameras import read_camera, read_cameras
from leadline.io.clouds import SHAPE_FORMATS, Mesh, PointCloud, save_shape
from leadline.io.colmap import write_colmap
from leadline.io.depth_files import DEPTH_SUFFIXES, Hole, find_holes, hole_mask, read_depth_map
from leadline.io.exr import read_exr_record, write_exr
from leadline.io.film_names import VIDEO_SUFFIXES, is_video
from leadline.io.formats import FORMATS, Format, format_of, get_format, output_suffixes
from leadline.io.frame_source import Selection, Source, SourceFrame
from leadline.io.gdepth import read_gdepth, write_gdepth
from leadline.io.glb import make_glb, write_glb
from leadline.io.heic import read_heic_depth
from leadline.io.images import list_images, read_image
from leadline.io.ledger import Ledger
from leadline.io.normal_maps import NormalConvention, decode_normals, encode_normals
from leadline.io.npz import read_npy, read_npz, write_npz
from leadline.io.pfm import read_pfm, write_pfm
from leadline.io.ply import write_ply
from leadline.io.png import encode_png
from leadline.io.png16 import (
    CHUNK,
    Png16,
    decode_png16,
    encode_png16,
    is_map,
    read_depth_png,
    read_png16,
    read_png16_record,
    write_png16,
)
from leadline.io.poses import read_poses, write_poses
from leadline.io.rosbag import BagDepth, BagFrame, BagReader, BagWriter, write_bag
from leadline.io.sources import open_source
from leadline.io.stored import MAPS, StoredMap
from leadline.io.text import parse_list
from leadline.io.tone import TONES, Tone
from leadline.io.video import read_video

__all__ = [
    "CHUNK",
    "DEPTH_SUFFIXES",
    "FORMATS",
    "MAPS",
    "SHAPE_FORMATS",
    "TONES",
    "VIDEO_SUFFIXES",
    "BagDepth",
    "BagFrame",
    "BagReader",
    "BagWriter",
    "Format",
    "Hole",
    "Ledger",
    "Mesh",
    "NormalConvention",
    "Png16",
    "PointCloud",
    "Selection",
    "Source",
    "SourceFrame",
    "StoredMap",
    "Tone",
    "decode_normals",
    "decode_png16",
    "encode_normals",
    "encode_png",
    "encode_png16",
    "find_holes",
    "format_of",
    "get_format",
    "hole_mask",
    "is_map",
    "is_video",
    "list_images",
    "make_glb",
    "open_source",
    "output_suffixes",
    "parse_list",
    "read_camera",
    "read_cameras",
    "read_depth_map",
    "read_depth_png",
    "read_exr_record",
    "read_gdepth",
    "read_heic_depth",
    "read_image",
    "read_npy",
    "read_npz",
    "read_pfm",
    "read_png16",
    "read_png16_record",
    "read_poses",
    "read_video",
    "save_shape",
    "write_bag",
    "write_colmap",
    "write_exr",
    "write_gdepth",
    "write_glb",
    "write_npz",
    "write_pfm",
    "write_ply",
    "write_png16",
    "write_poses",
]
