#!/usr/bin/env python3
"""Writes the pictures and videos of this folder, and beside each what Pillow makes of it: NAME.png for a picture, for a video the frames
one below the other. Needs Pillow 9.4, ImageMagick 6, libjpeg-turbo's cjpeg and ffmpeg 5.1; only what Pillow wrote beside a file matters."""
import io, os, subprocess
from PIL import Image, ImageDraw, ImageOps, ImageSequence

W, H = 37, 23


def base(w=W, h=H):
    im = Image.new("RGB", (w, h))
    for y in range(h):
        for x in range(w):
            im.putpixel((x, y), (x * 255 // w, y * 255 // h, (x * x + 7 * y) % 256))
    d = ImageDraw.Draw(im)
    d.rectangle([3, 3, 12, 9], fill=(255, 0, 0))
    d.ellipse([15, 5, 33, 21], fill=(20, 40, 250))
    d.line([0, h, w, 0], fill=(255, 255, 255))
    return im


def opacity(w=W, h=H):
    im = Image.new("L", (w, h))
    for y in range(h):
        for x in range(w):
            im.putpixel((x, y), (x * 9 + y * 5) % 256 if x < 20 else 255 * (x % 2))
    return im


def over_white(im):
    if im.format != "TIFF":  # there Pillow 9.4 turns as it loads, and would turn back again
        im = ImageOps.exif_transpose(im)
    if im.mode.startswith("I"):  # grey of 16 bits, which Pillow would clip
        return im.point(lambda v: v / 256).convert("L").convert("RGB") if im.mode == "I" else \
            Image.frombytes("L", im.size, bytes(v >> 8 for v in im.getdata())).convert("RGB")
    if im.mode in ("RGBA", "LA", "PA") or "transparency" in im.info:
        im = im.convert("RGBA")
        white = Image.new("RGB", im.size, (255, 255, 255))
        white.paste(im, mask=im.getchannel("A"))
        return white
    return im.convert("RGB")


def expect(name):
    with Image.open("pictures/" + name) as im:
        im.load()
        over_white(im).save("pictures/" + name + ".png", optimize=True)


def save(name, im, **options):
    im.save("pictures/" + name, **options)
    expect(name)


def run(name, *command):
    png = io.BytesIO()
    base().save(png, "PNG")
    subprocess.run(command, input=png.getvalue(), check=True)
    expect(name)


def exif(orientation):
    e = Image.Exif()
    e[0x0112] = orientation
    return e


def pictures():
    rgb, alpha = base(), opacity()
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    grey = rgb.convert("L")

    for s, n in (0, "444"), (1, "422"), (2, "420"):
        save(f"jpeg-{n}.jpg", rgb, quality=90, subsampling=s)
    for n, s in ("440", "1x2"), ("411", "4x1"), ("410", "4x2"):
        ppm = io.BytesIO()
        rgb.save(ppm, "PPM")
        subprocess.run(["cjpeg", "-quality", "90", "-sample", s + ",1x1,1x1", "-outfile", f"pictures/jpeg-{n}.jpg"], input=ppm.getvalue(), check=True)
        expect(f"jpeg-{n}.jpg")
    save("jpeg-progressive.jpg", rgb, quality=80, progressive=True)
    save("jpeg-grey.jpg", grey, quality=85)
    save("jpeg-cmyk.jpg", rgb.convert("CMYK"), quality=90)
    with open("pictures/jpeg-cmyk.jpg", "rb") as f:  # the same numbers, said to be luma, chroma and black: YCCK
        data = f.read()
    adobe = data.index(b"Adobe") + 11
    with open("pictures/jpeg-ycck.jpg", "wb") as f:
        f.write(data[:adobe] + b"\x02" + data[adobe + 1:])
    expect("jpeg-ycck.jpg")
    save("jpeg-small.jpg", rgb.crop((0, 0, 3, 3)), quality=90)
    save("jpeg-pixel.jpg", rgb.crop((5, 5, 6, 6)), quality=90)
    ppm = io.BytesIO()
    rgb.save(ppm, "PPM")
    subprocess.run(["cjpeg", "-quality", "75", "-restart", "1", "-outfile", "pictures/jpeg-restart.jpg"], input=ppm.getvalue(), check=True)
    expect("jpeg-restart.jpg")
    subprocess.run(["cjpeg", "-rgb", "-outfile", "pictures/jpeg-rgb.jpg"], input=ppm.getvalue(), check=True)
    expect("jpeg-rgb.jpg")
    subprocess.run(["cjpeg", "-arithmetic", "-outfile", "pictures/refused-arithmetic.jpg"], input=ppm.getvalue(), check=True)
    for o in range(1, 9):
        save(f"turned-{o}.jpg", rgb, quality=90, exif=exif(o))
    save("turned-6.png", rgb, exif=exif(6))
    save("turned-8.webp", rgb, lossless=True, exif=exif(8))
    save("turned-5.tif", rgb, tiffinfo={0x0112: 5})

    for bits in 1, 2, 4:
        levels = 2 ** bits
        p = rgb.quantize(levels)
        save(f"png-palette{bits}.png", p, bits=bits)
    save("png-grey1.png", grey.convert("1"))
    save("png-palette8.png", rgb.quantize(200))
    p = rgb.quantize(16)
    save("png-palette-transparent.png", p, transparency=bytes((i * 37) % 256 for i in range(16)))
    save("png-grey8.png", grey)
    save("png-grey8-transparent.png", grey, transparency=grey.getpixel((4, 4)))
    save("png-rgb8.png", rgb)
    save("png-rgb8-transparent.png", rgb, transparency=(255, 0, 0))
    save("png-rgba8.png", rgba)
    la = grey.copy()
    la.putalpha(alpha)
    save("png-greya8.png", la)
    deep = Image.new("I;16", (W, H))
    for y in range(H):
        for x in range(W):
            deep.putpixel((x, y), (x * 1771 + y * 301) % 65536)
    save("png-grey16.png", deep)
    for name, depth, options in ("grey2", 2, ["-colorspace", "gray"]), ("grey4", 4, ["-colorspace", "gray"]), ("rgb16", 16, ["-blur", "0x2"]), \
            ("interlaced", 8, ["-interlace", "PNG"]), ("rgb16-interlaced", 16, ["-blur", "0x1", "-interlace", "PNG"]):
        kind = "PNG48:" if "16" in name else "PNG:" if "grey" in name else "PNG24:"
        more = ["-define", f"png:bit-depth={depth}"] + (["-define", "png:color-type=0"] if "grey" in name else [])
        run(f"png-{name}.png", "convert", "-", "-strip", *options, "-depth", str(depth), *more, f"{kind}pictures/png-{name}.png")
    rgba.save("/tmp/rgba.png")
    run("png-rgba16.png", "convert", "/tmp/rgba.png", "-strip", "-blur", "0x1", "PNG64:pictures/png-rgba16.png")

    save("gif-palette.gif", rgb.quantize(100), interlace=0)
    save("gif-interlaced.gif", rgb.quantize(32), interlace=1)
    save("gif-transparent.gif", rgb.quantize(16), transparency=3)

    save("webp-lossless.webp", rgb, lossless=True)
    save("webp-lossless-alpha.webp", rgba, lossless=True, exact=True)
    save("webp-palette.webp", rgb.quantize(8).convert("RGB"), lossless=True)
    for w, h in (W, H), (36, 22), (1, 1), (2, 2), (1, 5), (6, 1), (33, 16):
        save(f"webp-lossy-{w}x{h}.webp", rgb.crop((0, 0, w, h)), quality=80)
    save("webp-lossy-alpha.webp", rgba, quality=70)
    save("webp-lossy-alpha-raw.webp", rgba, quality=70, alpha_quality=100, method=0)

    save("bmp-1.bmp", grey.convert("1"))
    save("bmp-8.bmp", rgb.quantize(256))
    save("bmp-grey.bmp", grey)
    save("bmp-24.bmp", rgb)
    run("bmp-4.bmp", "convert", "-", "-colors", "16", "-type", "Palette", "BMP3:pictures/bmp-4.bmp")

    for c in "raw", "tiff_lzw", "tiff_adobe_deflate", "packbits":
        save(f"tiff-{c}.tif", rgb, compression=c)
    save("tiff-group4.tif", grey.convert("1"), compression="group4")
    run("tiff-group4-white.tif", "convert", "-", "-monochrome", "-define", "quantum:polarity=min-is-white", "-compress", "Group4", "pictures/tiff-group4-white.tif")
    save("tiff-grey.tif", grey)
    save("tiff-grey16.tif", deep)
    save("tiff-palette.tif", rgb.quantize(256), compression="tiff_lzw")
    save("tiff-rgba.tif", rgba, compression="tiff_lzw")
    # Pillow 9.4 opens RGB of 16 bits by the upper bytes
    run("tiff-rgb16.tif", "convert", "-", "-blur", "0x2", "-depth", "16", "-compress", "none", "pictures/tiff-rgb16.tif")
    rgb.save("pictures/refused-jpeg.tif", compression="jpeg")
    rgb.convert("CMYK").save("pictures/refused-cmyk.tif")
    rgb.save("pictures/refused-2000.jp2")


def stack(name):
    with Image.open("videos/" + name) as im:
        frames = [over_white(f.convert("RGBA") if name.endswith(".gif") else f.copy()) for f in ImageSequence.Iterator(im)]
    out = Image.new("RGB", (frames[0].width, frames[0].height * len(frames)))
    for i, f in enumerate(frames):
        out.paste(f, (0, i * f.height))
    out.save("videos/" + name + ".png", optimize=True)


def scenes(n, w, h, mode="RGBA"):
    out = []
    for i in range(n):
        im = Image.new("RGBA", (w, h), (0, 0, 0, 0))
        d = ImageDraw.Draw(im)
        d.rectangle([2 + 3 * i, 4, 9 + 3 * i, 12], fill=(250, 60 * i % 256, 20, 255))
        d.ellipse([w - 14 - i, 6, w - 4 - i, 16], fill=(20, 90, 200, 255 if mode == "P" else 90 + 30 * i))
        out.append(im)
    return out


def gif(name, disposals, *offsets):
    args = ["convert", "-size", "32x20", "xc:none", "-fill", "none"]
    command = ["convert", "-delay", "30", "-page", "32x20"]
    for i, disposal in enumerate(disposals):
        x, y = offsets[i]
        command += ["-dispose", disposal, "(", "-page", f"32x20+{x}+{y}", "-size", "12x9", f"xc:rgb({60*i % 256},{200-50*i},{40*i})", "-fill", "none",
                    "-draw", f"color {3+i},4 point", "-draw", f"color {4+i},4 point", ")"]
    subprocess.run(command + ["-loop", "0", "videos/" + name], check=True)
    stack(name)


def riff(kind, body):
    return kind + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) & 1)


def images(name):
    """The chunks of a WebP that are its image."""
    with open("pictures/" + name, "rb") as f:
        data = f.read()
    at, out = 12, b""
    while at + 8 <= len(data):
        n = int.from_bytes(data[at + 4:at + 8], "little")
        if data[at:at + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
            out += riff(data[at:at + 4], data[at + 8:at + 8 + n])
        at += 8 + n + (n & 1)
    return out


def layers(name, w, h, *frames):
    """An animated WebP of whole pictures at even places: blended over what is there, or not, and cleared behind or not."""
    u24 = lambda v: v.to_bytes(3, "little")
    body = riff(b"VP8X", bytes([0x12, 0, 0, 0]) + u24(w - 1) + u24(h - 1)) + riff(b"ANIM", bytes([9, 99, 199, 255, 0, 0]))
    for picture, x, y, blended, clears in frames:
        body += riff(b"ANMF", u24(x // 2) + u24(y // 2) + u24(W - 1) + u24(H - 1) + u24(50) + bytes([2 * (not blended) + clears]) + images(picture))
    with open("videos/" + name, "wb") as f:
        f.write(riff(b"RIFF", b"WEBP" + body))
    stack(name)


def videos():
    lossless, lossy, opaque = "webp-lossless-alpha.webp", "webp-lossy-alpha.webp", "webp-lossless.webp"
    layers("layers.webp", W + 8, H + 8, (lossless, 0, 0, False, False), (lossy, 8, 8, True, False), (lossless, 4, 2, True, True),
           (lossy, 0, 6, True, False), (opaque, 6, 0, False, True), (lossless, 2, 2, False, False))
    layers("whole.webp", W, H, (opaque, 0, 0, True, False), (lossless, 0, 0, True, False), (lossy, 0, 0, True, False), (lossless, 0, 0, True, False),
           (lossy, 0, 0, False, False), (lossless, 0, 0, True, True), (lossless, 0, 0, True, False))
    gif("dispose-none.gif", ["none"] * 4, (0, 0), (5, 3), (20, 11), (9, 9))
    gif("dispose-background.gif", ["background"] * 4, (0, 0), (5, 3), (20, 11), (9, 9))
    gif("dispose-previous.gif", ["none", "previous", "previous", "background", "none"], (0, 0), (5, 3), (7, 5), (20, 11), (9, 9))
    s = scenes(5, 32, 20)
    s[0].save("videos/lossless.webp", save_all=True, append_images=s[1:], duration=[100, 250, 400, 40, 1000], lossless=True, loop=0)
    stack("lossless.webp")
    for i, im in enumerate(s):
        im.paste(base(20, 14), (3 + i, 2 + i))
    s[0].save("videos/lossy.webp", save_all=True, append_images=s[1:], duration=120, quality=60, minimize_size=True, kmin=3, kmax=5)
    stack("lossy.webp")
    for i in range(5):
        base(48, 32).rotate(15 * i).save(f"/tmp/mjpeg{i}.png")
    ff = ["ffmpeg", "-y", "-loglevel", "error"]
    source = ["-framerate", "5", "-i", "/tmp/mjpeg%d.png"]
    mjpeg = ["-c:v", "mjpeg", "-q:v", "9", "-pix_fmt", "yuvj420p", "-fflags", "+bitexact", "-flags", "+bitexact"]
    sound = ["-f", "lavfi", "-t", "1", "-i", "anullsrc=r=8000:cl=mono"]
    subprocess.run(ff + source + mjpeg + ["videos/mjpeg.avi"], check=True)
    subprocess.run(ff + source + mjpeg + ["videos/mjpeg.mp4"], check=True)
    subprocess.run(ff + source + sound + mjpeg + ["-c:a", "pcm_s16le", "-shortest", "-movflags", "faststart", "videos/sound.mov"], check=True)
    subprocess.run(ff + source + ["-c:v", "png", "-fflags", "+bitexact", "videos/png.mov"], check=True)
    subprocess.run(ff + source + mjpeg + ["-f", "mjpeg", "videos/stream.mjpeg"], check=True)
    subprocess.run(ff + source + mjpeg + ["-movflags", "frag_keyframe+empty_moov", "videos/refused-fragmented.mp4"], check=True)
    subprocess.run(ff + source + ["-c:v", "mpeg4", "videos/refused-mpeg4.mp4"], check=True)
    subprocess.run(ff + source + ["-c:v", "mpeg4", "videos/refused-mpeg4.avi"], check=True)


os.makedirs("pictures", exist_ok=True)
os.makedirs("videos", exist_ok=True)
pictures()
videos()
