package media

import (
	"fmt"
	"sort"
	"time"
)

// SampleEvery and SampleMost are how the models' maker describes video: a frame each second, for up to 60 seconds.
const (
	SampleEvery = time.Second
	SampleMost  = 60
)

// Sample chooses the frames of a video that a model sees: what is shown at each full second, or, if the video is longer than 60 seconds,
// what is shown at 60 times spread evenly over it, which spread tells. Each frame chosen has the time at which it is shown as its Time, so
// that a frame that stays for several seconds is chosen as often (Index tells). The frames must be in order of time.
func Sample(frames []Frame, duration time.Duration) (chosen []Frame, spread bool) {
	if len(frames) == 0 {
		return nil, false
	}
	duration = max(duration, frames[len(frames)-1].Time+1)
	n := int((duration + SampleEvery - 1) / SampleEvery)
	if spread = n > SampleMost; spread {
		n = SampleMost
	}
	for i := range n {
		at := time.Duration(i) * SampleEvery
		if spread {
			at = duration / SampleMost * time.Duration(i)
		}
		f := frames[max(sort.Search(len(frames), func(k int) bool { return frames[k].Time > at })-1, 0)]
		f.Time = at
		chosen = append(chosen, f)
	}
	return chosen, spread
}

// Uniform chooses n frames by their number, as HF's processor does when it is told how many (its default is 32): the ones at
// i·len(frames)/n, with their own times. Fewer frames than that are an error.
func Uniform(frames []Frame, n int) ([]Frame, error) {
	if n <= 0 || n > len(frames) {
		return nil, fmt.Errorf("media: %d frames of a video that has %d", n, len(frames))
	}
	chosen := make([]Frame, n)
	for i := range chosen {
		chosen[i] = frames[i*len(frames)/n]
	}
	return chosen, nil
}
