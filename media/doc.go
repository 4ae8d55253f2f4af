// Package media reads pictures and video from files, for programs whose models see. The engine itself takes any [image.Image]; this package
// makes them of files as they come: formats are known by content, sizes are limited before anything is decoded, pictures stand as EXIF
// says, and what is transparent lies over white.
//
//	m, err := media.OpenPicture("photo.jpg", media.Options{})
//
// # Formats
//
//	JPEG    baseline, progressive, grey, RGB, CMYK and YCCK; EXIF
//	PNG     1 to 16 bits, palettes, interlaced, opacity; EXIF; of an animated one its first picture
//	GIF     animated
//	WebP    lossy, lossless, opacity, animated; EXIF
//	BMP     1, 2, 4, 8, 24 and 32 bits
//	TIFF    1, 8 and 16 bits, palettes, opacity, none, LZW, Deflate, PackBits and fax compression; the first page
//	AVI     Motion JPEG, with or without an index
//	MP4     Motion JPEG and PNG, also in MOV
//
// What else is known is refused by name, with the command that makes something of it that can be read: [Unsupported]. [Options.Formats]
// takes further decoders of pictures, and [Options.FFmpeg] allows other video through that program. There is no registry: two users in one
// program never see each other's decoders.
//
// # Pixels
//
// They are what Pillow's convert("RGB") gives: to the byte for PNG, GIF, BMP, TIFF and WebP, lossy too; for JPEG up to the rounding of the
// inverse transform. There are departures. Opacity is laid over white, where Pillow drops it and shows what a program left below; grey of
// 16 bits is scaled, where Pillow clips it at 255; color profiles are not applied, as there.
//
// # Video
//
// A [Clip] knows its frames and their times, and decodes those that are asked for. [Sample] chooses as the models' maker describes: a frame
// a second up to 60 seconds, of a longer video 60 spread over it.
//
// # Limits
//
// Memory for a picture is at most 32 bytes for each pixel that [Options.Pixels] allows, whatever its header says, and a file that ends too
// early, or lies about itself, is an error.
package media
