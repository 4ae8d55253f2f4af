package gemma4

import "github.com/gogemma/gemma4/model"

// Roofline is the most that the machine can do: bytes read and multiply-adds per second.
type Roofline = model.Roofline

// Roofline measures, in about a tenth of a second, the most that the model's threads and kernels reach: in a loop that only reads, and in
// multiply-adds on registers alone. Shared machines drift, so measure it next to what is compared with it.
func (m *Model) Roofline() (Roofline, error) {
	if err := m.enter(); err != nil {
		return Roofline{}, err
	}
	defer m.leave()
	r, err := m.graph.MeasureRoofline()
	return r, wrap(err)
}

// WriteBytes returns how many bytes of weights and cache must be read to decode that many tokens in one step, after depth positions.
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
