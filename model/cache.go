package model

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/gogemma/gemma4/internal/mmap"
	"github.com/gogemma/gemma4/tensor"
)

const (
	// stripLen is how many positions attention takes at a time. Strips start at absolute positions, however tokens are grouped, so that
	// sums are taken in one order.
	stripLen = tensor.Strip
	// splitLen is how many positions one worker attends to before partial results are merged.
	splitLen = 512
	// slidingSplitLen is the same in sliding layers, whose window is a few splits.
	slidingSplitLen = 256
	// pageLen is how many positions a page of the cache holds: a multiple of stripLen.
	pageLen = 128
)

// page holds the keys and values of pageLen positions of one layer, [heads, pageLen, head size] each; of tied layers, the part of the keys
// that rotates and the values. Texts with a common beginning share pages; a page with a single holder may be written by it, unless it lies
// in a file.
type page struct {
	holders atomic.Int32
	k, v    []byte
	file    *mapping // nil: in memory
}

func (p *page) hold() *page {
	if p != nil {
		p.holders.Add(1)
	}
	return p
}

// release reports whether the page can be used again: nobody holds it any more.
func (p *page) release() bool {
	if p.holders.Add(-1) > 0 {
		return false
	}
	if p.file != nil {
		p.file.release()
	}
	return p.file == nil
}

// kv holds the keys and values of one layer in pages. Those of a sliding layer are given up once its window has moved past them.
type kv struct {
	format  tensor.Format
	heads   int
	dim     int
	rotated int // values of a key that are kept, the first of both halves: dim, or in tied layers less
	kSize   int // bytes of one head's key
	vSize   int // and value
	sliding bool
	mixed   bool    // keys and values are mixed by Kernels.Hadamard, so that no number stands out when they are rounded together
	pages   []*page // of the positions from i·pageLen on; nil: given up
	held    int     // of them
	free    []*page // to be used again
	spare   int     // pages in free when the running pass began
}

// newKV returns the empty cache of a layer. With wholeKeys it keeps all of a key even if values give some of it.
func newKV(c *LayerConfig, f tensor.Format, wholeKeys bool) *kv {
	rotated := c.HeadDim
	if c.Turned > 0 && c.Turned%f.BlockLen() == 0 && !wholeKeys {
		rotated = c.Turned
	}
	return &kv{
		format: f, heads: c.KVHeads, dim: c.HeadDim, rotated: rotated, kSize: f.RowBytes(rotated), vSize: f.RowBytes(c.HeadDim),
		sliding: c.Sliding,
		mixed:   f.BlockLen() > 1,
	}
}

// tied reports whether keys are made of values.
func (c *kv) tied() bool { return c.rotated < c.dim }

// pageBytes returns what a page takes.
func (c *kv) pageBytes() int { return c.heads * pageLen * (c.kSize + c.vSize) }

// pageValues returns how many values they are.
func (c *kv) pageValues() int { return c.pageBytes() / c.format.BlockBytes() * c.format.BlockLen() }

// page returns the page that lies in b, keys first.
func (c *kv) page(b []byte) *page {
	n := c.heads * pageLen * c.kSize
	return &page{k: b[:n:n], v: b[n:]}
}

func (c *kv) newPage() *page {
	if n := len(c.free); n > 0 {
		p := c.free[n-1]
		c.free = c.free[:n-1]
		return p.hold()
	}
	return c.page(make([]byte, c.pageBytes())).hold()
}

// reserve makes room for positions from to next-1; those before from are kept.
func (c *kv) reserve(from, next int) error {
	c.spare = len(c.free)
	for i := from / pageLen; i*pageLen < next; i++ {
		if i == len(c.pages) {
			c.pages = append(c.pages, nil)
		}
		switch p := c.pages[i]; {
		case p == nil:
			c.pages[i] = c.newPage()
			c.held++
		case p.holders.Load() > 1 || p.file != nil: // the page is somebody else's, too, whose text may go on differently
			own := c.newPage()
			if err := p.copyTo(own); err != nil {
				if own.release(); len(c.free) < c.spare {
					c.free = append(c.free, own)
				}
				return err
			}
			c.drop(i)
			c.pages[i] = own
			c.held++
		}
	}
	return nil
}

// copyTo copies the page; one that lies in a file may fault.
func (p *page) copyTo(own *page) error {
	f := func() error {
		copy(own.k, p.k)
		copy(own.v, p.v)
		return nil
	}
	if p.file == nil {
		return f()
	}
	return mmap.Guard(f)
}

// drop gives page i up. Some of the memory is kept, because a window that moves on takes up as much as it leaves.
func (c *kv) drop(i int) {
	if p := c.pages[i]; p != nil {
		c.held--
		if p.release() && len(c.free) < 8 {
			c.free = append(c.free, p)
		}
	}
	c.pages[i] = nil
}

// bytes returns what the pages take.
func (c *kv) bytes() int64 { return int64(c.held+len(c.free)) * int64(c.pageBytes()) }

// settle gives up what reserve has added after the first n positions.
func (c *kv) settle(n int) {
	if (len(c.pages)-1)*pageLen < n {
		return
	}
	c.truncate(n)
	c.free = c.free[:min(len(c.free), c.spare)]
}

// truncate gives up what lies after the first n positions.
func (c *kv) truncate(n int) {
	for i := len(c.pages) - 1; i*pageLen >= n && i >= 0; i-- {
		c.drop(i)
		c.pages = c.pages[:i]
	}
	if !c.sliding || n == 0 {
		c.free = nil // only sliding layers need as many as they give up
	}
}

// at returns where n consecutive keys and values of head h are stored. They must lie in one strip.
func (c *kv) at(pos, n, h int) (k, v []byte) {
	p := c.pages[pos/pageLen]
	i := h*pageLen + pos%pageLen
	return p.k[i*c.kSize : (i+n)*c.kSize], p.v[i*c.vSize : (i+n)*c.vSize]
}

// put stores keys and values [heads, dim] of one position. It changes its arguments.
func (c *kv) put(k *tensor.Kernels, pos int, keys, values []float32) {
	for h := range c.heads {
		kb, vb := c.at(pos, 1, h)
		key, value := keys[h*c.dim:(h+1)*c.dim], values[h*c.dim:(h+1)*c.dim]
		c.arrange(k, key)
		c.arrange(k, value)
		c.encode(k, kb, key[:c.rotated])
		c.encode(k, vb, value)
	}
}

// query prepares a query head for what the cache holds. A tied layer's keys are norm ⊙ value where they do not rotate: there the query
// takes the norm's weights.
func (c *kv) query(k *tensor.Kernels, q, norm []float32) {
	if half, t := c.dim/2, c.rotated/2; c.tied() {
		for _, part := range [2][2]int{{t, half}, {half + t, c.dim}} {
			for i := part[0]; i < part[1]; i++ {
				q[i] *= norm[i]
			}
		}
	}
	c.arrange(k, q)
}

// arrange puts the numbers of a head into the order of the cache, which in tied layers has those that rotate first, and mixes them.
func (c *kv) arrange(k *tensor.Kernels, x []float32) {
	if half, t := c.dim/2, c.rotated/2; c.tied() {
		swap(x[t:half+t], half-t)
	}
	c.mix(k, x)
}

// restore undoes arrange.
func (c *kv) restore(k *tensor.Kernels, x []float32) {
	c.mix(k, x)
	if half, t := c.dim/2, c.rotated/2; c.tied() {
		swap(x[t:half+t], t)
	}
}

// mix is its own inverse.
func (c *kv) mix(k *tensor.Kernels, x []float32) {
	if c.mixed {
		k.Hadamard(x[:c.rotated]) // what rotates by itself: it is multiplied with keys, not values
		k.Hadamard(x[c.rotated:])
	}
}

// swap exchanges the first n numbers and the others.
func swap(x []float32, n int) {
	slices.Reverse(x[:n])
	slices.Reverse(x[n:])
	slices.Reverse(x)
}

func (c *kv) encode(k *tensor.Kernels, dst []byte, x []float32) {
	if err := k.EncodeRow(c.format, dst, x); err != nil {
		panic(err) // checkCache admits only formats that can be written
	}
}

// checkCache returns an error if keys and values of the model's layers cannot be kept in the format.
func (c *Config) checkCache(f tensor.Format) error {
	switch f {
	case tensor.F32, tensor.F16, tensor.Q8_0, tensor.Q4_0:
	default:
		return fmt.Errorf("model: a cache in %v is not possible, only F32, F16, Q8_0 and Q4_0 are", f)
	}
	for i, l := range c.Layers[:c.Owners] {
		if l.HeadDim%f.BlockLen() != 0 {
			return fmt.Errorf("model: a cache in %v needs head sizes in multiples of %d, layer %d has %d", f, f.BlockLen(), i, l.HeadDim)
		}
	}
	return nil
}

// CacheBytes returns the most that the keys and values of a sequence take with the given context length, cache format and positions per
// pass (0: DefaultBatch): for each layer that owns some, 2 · heads · head size values per position (in tied layers less, see Shape), in
// pages of 128 positions: of all positions in global layers, in sliding ones of those that a window and a pass touch.
func (c *Config) CacheBytes(context int, f tensor.Format, batch int) int64 {
	if batch < 1 {
		batch = DefaultBatch
	}
	all := (context + pageLen - 1) / pageLen
	some := min(all, (c.Window+min(batch, context)+pageLen-2)/pageLen+1)
	var sum int64
	for i := range c.Layers[:c.Owners] {
		l := &c.Layers[i]
		n := all
		if l.Sliding {
			n = some
		}
		sum += int64(n) * int64(newKV(l, f, false).pageBytes())
	}
	return sum
}

// slidingPageBytes returns what one page of every sliding layer takes.
func (c *Config) slidingPageBytes(f tensor.Format) int64 {
	var sum int64
	for i := range c.Layers[:c.Owners] {
		if l := &c.Layers[i]; l.Sliding {
			sum += int64(newKV(l, f, false).pageBytes())
		}
	}
	return sum
}

// WindowBytes returns what the keys and values of a full window take in all sliding layers.
func (c *Config) WindowBytes(f tensor.Format) int64 {
	return int64(c.Window+pageLen-1) / pageLen * c.slidingPageBytes(f)
}
