package gemma4

import "github.com/gogemma/gemma4/model"

// Roofline is what the machine can do at most: bytes read and multiply-adds per second.
type Roofline = model.Roofline

// Roofline measures, in about a tenth of a second, what the model's threads and kernels reach at most: a plain read loop, and
// multiply-adds on registers alone. Shared machines drift, so measure it beside what is compared with it.
func (m *Model) Roofline() (Roofline, error) {
	if err := m.enter(); err != nil {
		return Roofline{}, err
	}
	defer m.leave()
	r, err := m.graph.MeasureRoofline()
	return r, wrap(err)
}

// WriteBytes returns how many bytes of weights and cache must be read to write so many tokens in one step at a depth of so
// many positions.
func (m *Model) WriteBytes(tokens, depth int, c CacheFormat) (int64, error) {
	f, err := c.format()
	if err != nil {
		return 0, err
	}
	if err := m.enter(); err != nil {
		return 0, err
	}
	defer m.leave()
	return m.graph.WriteBytes(tokens, depth, f), nil
}
