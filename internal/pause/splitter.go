package pause

// A Splitter tells, while a sound comes, where [Split] cuts it. A cut is known when the piece after it, too, has the least length.
type Splitter struct {
	most, least int // samples of a piece
	meter       meter
	partial     float64   // energy of the frame that is not complete
	pushed      int       // samples
	begin       int       // of the piece
	energies    []float64 // of its frames
	quiet       []bool
}

// NewSplitter returns a splitter into pieces of at most most samples, 16,000 or more.
func NewSplitter(most int) *Splitter {
	most = max(most, 4*frame)
	return &Splitter{most: most, least: min(most/4, 50*frame), meter: meter{floor: beginning}}
}

// Push takes the next samples and returns the cuts that are certain with them, counted from the first sample pushed.
func (s *Splitter) Push(samples []float32) (cuts []int) {
	for len(samples) > 0 {
		n := min(len(samples), frame-s.pushed%frame)
		s.partial = energy(s.partial, samples[:n])
		s.pushed += n
		samples = samples[n:]
		if s.pushed%frame > 0 {
			continue
		}
		s.energies, s.quiet = append(s.energies, s.partial), append(s.quiet, s.meter.quiet(s.partial))
		s.partial = 0
		if s.pushed-s.begin >= s.most+s.least {
			cuts = append(cuts, s.cut(s.most))
		}
	}
	return cuts
}

// Close returns the cut that the end of the sound brings, if it brings one.
func (s *Splitter) Close() (cuts []int) {
	if n := s.pushed - s.begin; n > s.most {
		cuts = append(cuts, s.cut(n-s.least))
	}
	return cuts
}

// cut ends the piece after at most so many samples, and returns where.
func (s *Splitter) cut(most int) int {
	latest, earliest := most/frame, (s.most/3+frame-1)/frame
	n := pauseBefore(s.quiet, earliest, latest)
	if n < 0 {
		n = quietest(s.energies, max(earliest, latest-last), latest)
	}
	s.begin += n * frame
	s.energies = s.energies[:copy(s.energies, s.energies[n:])]
	s.quiet = s.quiet[:copy(s.quiet, s.quiet[n:])]
	return s.begin
}
