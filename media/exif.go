package media

import (
	"bytes"
	"encoding/binary"
)

// Orientation returns how a picture's file says that it is to be turned, by EXIF's numbers 1 to 8: 1 if it says nothing, or nothing that
// makes sense. [Picture] has applied it, so that whoever wants a place in the pixels as they are stored has to undo it: of 6, a picture
// stored W×H is seen H×W, and what is seen at (x, y) is stored at (y, H−1−x).
func Orientation(data []byte) int {
	switch sniff(data) {
	case "TIFF":
		return orientation(data)
	case "JPEG":
		for s := range jpegSegments(data) {
			if body, ok := bytes.CutPrefix(s.body, []byte("Exif\x00\x00")); ok && s.marker == 0xe1 {
				return orientation(body)
			}
		}
	case "PNG":
		for at := 8; len(data)-at >= 12; {
			n := int64(binary.BigEndian.Uint32(data[at:]))
			if n > int64(len(data)-at-12) {
				break
			}
			if string(data[at+4:at+8]) == "eXIf" {
				return orientation(data[at+8:][:n])
			}
			at += 12 + int(n)
		}
	case "WebP":
		for id, body := range riffChunks(data[12:]) {
			if id == "EXIF" {
				return orientation(bytes.TrimPrefix(body, []byte("Exif\x00\x00")))
			}
		}
	}
	return 1
}

// orientation reads that of a TIFF structure, which is what EXIF is.
func orientation(exif []byte) int {
	if v := tiffTag(exif, 0x0112); 1 <= v && v <= 8 {
		return v
	}
	return 1
}

// tiffTag returns the value of a tag in the first directory of a TIFF structure, if it is one number of 16 bits, and -1 otherwise.
func tiffTag(data []byte, tag uint16) int {
	const short = 3
	if len(data) < 8 {
		return -1
	}
	var order binary.ByteOrder
	switch string(data[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return -1
	}
	at := int64(order.Uint32(data[4:]))
	if at > int64(len(data)-2) {
		return -1
	}
	directory := data[at:]
	entries := int(order.Uint16(directory))
	for directory = directory[2:]; entries > 0 && len(directory) >= 12; entries, directory = entries-1, directory[12:] {
		if order.Uint16(directory) == tag && order.Uint16(directory[2:]) == short && order.Uint32(directory[4:]) == 1 {
			return int(order.Uint16(directory[8:]))
		}
	}
	return -1
}
