package pause

// A Segment is a part of a sound that comes piece by piece: the samples [Begin, End), counted from the first one pushed.
type Segment struct {
	Begin, End int
	Spoken     bool // there is something louder than what is always there
}

// A Detector tells, while sound comes, where a segment ends: in the pause after speech, as soon as that lasts 400 ms; before speech, if
// more than a second of silence comes first; and where the longest segment is reached, at the quietest moment of its last five seconds.
// Segments are consecutive: together they are all that was pushed.
type Detector struct {
	most     int
	meter    meter
	partial  float64   // energy of the frame that is not complete
	pushed   int       // samples
	begin    int       // of the segment
	energies []float64 // of its frames
	loud     []bool
	spoken   bool
	run      int // frames in a row that are as loud or as quiet as the last one
}

// NewDetector returns a detector of segments of at most most samples, 16,000 or more.
func NewDetector(most int) *Detector {
	return &Detector{most: max(most, 4*frame), meter: meter{floor: beginning}}
}

// Speaking tells whether the segment that is not yet ended has speech in it.
func (d *Detector) Speaking() bool { return d.spoken }

// Push takes the next samples and returns the segments that end with them.
func (d *Detector) Push(samples []float32) (ended []Segment) {
	for len(samples) > 0 {
		n := min(len(samples), frame-d.pushed%frame)
		d.partial = energy(d.partial, samples[:n])
		d.pushed += n
		samples = samples[n:]
		if d.pushed%frame == 0 {
			ended = d.judge(ended)
		}
	}
	return ended
}

// Close returns the last segment, if there is anything in it.
func (d *Detector) Close() (ended []Segment) {
	if d.begin < d.pushed {
		ended = append(ended, Segment{d.begin, d.pushed, d.spoken})
	}
	d.begin = d.pushed
	return ended
}

// judge decides about the frame that is complete now.
func (d *Detector) judge(ended []Segment) []Segment {
	loud := !d.meter.quiet(d.partial)
	if n := len(d.loud); n > 0 && d.loud[n-1] == loud {
		d.run++
	} else {
		d.run = 1
	}
	d.energies, d.loud, d.partial = append(d.energies, d.partial), append(d.loud, loud), 0
	n := len(d.loud)
	switch {
	case loud && d.run == onset && !d.spoken:
		if before := n - onset - lead; before >= silence {
			ended = d.end(ended, before)
		}
		d.spoken = true
	case !loud && d.run == shortest && d.spoken:
		ended = d.end(ended, n-shortest/2)
	}
	if n = len(d.loud); (n+1)*frame > d.most {
		cut := n
		if d.spoken {
			cut = quietest(d.energies, max(n/2, n-last), n)
		}
		ended = d.end(ended, cut)
	}
	return ended
}

// end ends the segment after its first n frames; the rest of them begin the next one.
func (d *Detector) end(ended []Segment, n int) []Segment {
	ended = append(ended, Segment{d.begin, d.begin + n*frame, d.spoken})
	d.begin += n * frame
	d.energies = d.energies[:copy(d.energies, d.energies[n:])]
	d.loud = d.loud[:copy(d.loud, d.loud[n:])]
	d.spoken, d.run = false, min(d.run, len(d.loud))
	row := 0
	for _, loud := range d.loud {
		if row++; !loud {
			row = 0
		}
		d.spoken = d.spoken || row >= onset
	}
	return ended
}
