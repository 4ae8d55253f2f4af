package model

import (
	"fmt"

	"github.com/gogemma/gemma4/tensor"
)

const (
	// block is how many positions attention takes at a time. Blocks start at absolute positions, whatever the grouping
	// of tokens, so that sums are taken in one order.
	block = 32
	// segment is how many positions one worker attends to before partial results are merged; a page of the cache.
	segment = 512
)

// kv holds the keys and values of one layer: a ring of the last positions (sliding layers) or pages that are added as the
// text grows (global layers). Rows are stored as [heads][positions][head size], each head's row in the cache's format.
type kv struct {
	format  tensor.Format
	heads   int
	dim     int
	rowSize int // bytes of one head's key or value
	sliding bool
	ring    int // positions that the ring of a sliding layer holds
	pages   []page
}

// page holds the keys and values of a run of positions.
type page struct{ k, v []byte }

func newKV(c *LayerConfig, f tensor.Format) *kv {
	return &kv{format: f, heads: c.KVHeads, dim: c.HeadDim, rowSize: f.RowBytes(c.HeadDim), sliding: c.Sliding}
}

// span returns how many positions a page holds.
func (c *kv) span() int {
	if c.sliding {
		return c.ring
	}
	return segment
}

func (c *kv) newPage() page {
	n := c.heads * c.span() * c.rowSize
	return page{make([]byte, n), make([]byte, n)}
}

// reserve makes room for positions below n. A ring grows with the text to ring positions at most; those from oldest to
// held-1 keep their contents.
func (c *kv) reserve(n, ring, oldest, held int) {
	if !c.sliding {
		for len(c.pages)*segment < n {
			c.pages = append(c.pages, c.newPage())
		}
		return
	}
	ring = min(ring, roundUp(max(n, min(2*c.ring, ring)), block))
	if n <= c.ring || ring <= c.ring {
		return
	}
	old := *c
	c.ring = ring
	c.pages = []page{c.newPage()}
	for pos := oldest; pos < held; pos++ {
		for h := range c.heads {
			ok, ov := old.row(pos, h)
			k, v := c.row(pos, h)
			copy(k, ok)
			copy(v, ov)
		}
	}
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// row returns where the key and the value of head h at a position are stored.
func (c *kv) row(pos, h int) (k, v []byte) {
	p, slot := c.at(pos)
	i := (h*c.span() + slot) * c.rowSize
	return p.k[i : i+c.rowSize], p.v[i : i+c.rowSize]
}

// rows returns n consecutive keys and values of head h. They must lie in one block.
func (c *kv) rows(pos, n, h int) (k, v []byte) {
	p, slot := c.at(pos)
	i := (h*c.span() + slot) * c.rowSize
	return p.k[i : i+n*c.rowSize], p.v[i : i+n*c.rowSize]
}

func (c *kv) at(pos int) (*page, int) {
	if c.sliding {
		return &c.pages[0], pos % c.ring
	}
	return &c.pages[pos/segment], pos % segment
}

// put stores keys and values [heads, dim] of one position.
func (c *kv) put(k *tensor.Kernels, pos int, keys, values []float32) {
	for h := range c.heads {
		kb, vb := c.row(pos, h)
		c.encode(k, kb, keys[h*c.dim:(h+1)*c.dim])
		c.encode(k, vb, values[h*c.dim:(h+1)*c.dim])
	}
}

func (c *kv) encode(k *tensor.Kernels, dst []byte, x []float32) {
	if c.format == tensor.F16 {
		k.ToF16(dst, x)
		return
	}
	if err := c.format.Encode(dst, x); err != nil {
		panic(err) // checkCache lets no format pass that cannot be written
	}
}

// checkCache tells whether keys and values of the model's layers can be kept in the format.
func (c *Config) checkCache(f tensor.Format) error {
	switch f {
	case tensor.F32, tensor.F16, tensor.Q8_0:
	default:
		return fmt.Errorf("model: a cache in %v is not possible, only F32, F16 and Q8_0 are", f)
	}
	for i, l := range c.Layers[:c.Owners] {
		if l.HeadDim%f.BlockLen() != 0 {
			return fmt.Errorf("model: a cache in %v needs head sizes in multiples of %d, layer %d has %d", f, f.BlockLen(), i, l.HeadDim)
		}
	}
	return nil
}

// ringSize is how many positions the ring of a sliding layer holds when up to batch positions are read at a time: the
// window of the first of them and all of them, rounded up so that blocks never wrap around.
func (c *Config) ringSize(batch int) int {
	return roundUp(c.Window+batch, block)
}

// CacheBytes returns what the keys and values of a session take with the given context length, cache format and
// positions per step (0: DefaultBatch): for each layer that owns some, 2 · heads · head size values per position, of
// all positions in global layers and of the last window + batch positions in sliding ones.
func (c *Config) CacheBytes(context int, f tensor.Format, batch int) int64 {
	if batch < 1 {
		batch = DefaultBatch
	}
	var sum int64
	for i := range c.Layers[:c.Owners] {
		l := &c.Layers[i]
		n := roundUp(context, segment)
		if l.Sliding {
			n = min(c.ringSize(batch), roundUp(context, block))
		}
		sum += 2 * int64(n) * int64(l.KVHeads) * int64(f.RowBytes(l.HeadDim))
	}
	return sum
}
