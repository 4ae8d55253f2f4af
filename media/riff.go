package media

import (
	"encoding/binary"
	"iter"
)

// riffChunks goes through the chunks of a RIFF list: WebP's, or those of an AVI's header. It ends at a chunk that is not all there.
func riffChunks(data []byte) iter.Seq2[string, []byte] {
	return func(yield func(id string, body []byte) bool) {
		for len(data) >= 8 {
			n := int64(binary.LittleEndian.Uint32(data[4:]))
			if n > int64(len(data)-8) || !yield(string(data[:4]), data[8:][:n]) {
				return
			}
			data = data[min(int64(len(data)), 8+n+n&1):]
		}
	}
}
