package chat

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"math"
	"time"
)

// Part is a part of a message: text, or a picture, a sound or a video. A model reads those that are there, as an Image, Samples or Frames;
// of others, such as those that JSON brings, URL or Data says where they are, and package media/fetch gets them.
//
// Its JSON is that of the OpenAI chat API: {"type": "text", "text": …}, {"type": "image_url", "image_url": {"url": …}},
// {"type": "input_audio", "input_audio": {"data": …, "format": …}}, and audio_url and video_url by analogy. Media that are there are
// {"type": "image", "image": …}, {"type": "audio", "samples": …} and {"type": "video", "frames": …}, in a form of this package that keeps
// them as they are; those of which nothing is known but where they stand are the same without that key. A budget is a key beside it.
type Part struct {
	// Type is text, image, audio or video.
	Type string
	// Text is that of a part of type text.
	Text string
	// Image is a picture.
	Image image.Image
	// Samples are a sound: one channel, 16,000 a second, −1 to 1.
	Samples []float32
	// Frames are those of a video, in their order.
	Frames []Frame
	// Budget is the most tokens that a picture, or each frame of a video, may become.
	Budget Budget
	// URL says where a picture, a sound or a video is that is not there; it may hold it (data:…).
	URL string
	// Detail is the resolution that is asked for a picture, where there is no Budget: auto, low or high, or empty.
	Detail string
	// Data is a sound in the form of a file.
	Data []byte
	// Format is that of Data, such as wav.
	Format string
}

// Frame is a picture of a video.
type Frame struct {
	Time  time.Duration // from the beginning of the video
	Image image.Image
}

// TextPart is a part that is text.
func TextPart(text string) Part { return Part{Type: "text", Text: text} }

// ImagePart is a part that is a picture.
func ImagePart(m image.Image) Part { return Part{Type: "image", Image: m} }

// AudioPart is a part that is a sound: one channel, 16,000 samples a second, −1 to 1.
func AudioPart(samples []float32) Part { return Part{Type: "audio", Samples: samples} }

// VideoPart is a part that is a video.
func VideoPart(frames ...Frame) Part { return Part{Type: "video", Frames: frames} }

// there reports whether the part holds its picture, sound or video.
func (p Part) there() bool { return p.Image != nil || p.Samples != nil || p.Frames != nil }

// partTypes are the types that JSON may name.
var partTypes = []string{"text", "image", "audio", "video", "image_url", "audio_url", "video_url", "input_audio"}

type partJSON struct {
	Type    string      `json:"type"`
	Text    *string     `json:"text,omitempty"`
	Image   *mediaJSON  `json:"image_url,omitempty"`
	Audio   *mediaJSON  `json:"audio_url,omitempty"`
	Video   *mediaJSON  `json:"video_url,omitempty"`
	Input   *soundJSON  `json:"input_audio,omitempty"`
	Pixels  *pixels     `json:"image,omitempty"`
	Samples samples     `json:"samples,omitempty"`
	Frames  []frameJSON `json:"frames,omitempty"`
	Budget  Budget      `json:"budget,omitzero"`
}

type mediaJSON struct {
	URL    string `json:"url"`
	Detail string `json:"detail,omitempty"`
}

type soundJSON struct {
	Data   []byte `json:"data"`
	Format string `json:"format"`
}

// UnmarshalJSON reads the object that the API documents, and the bare URL that some clients send in its place.
func (m *mediaJSON) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '"' {
		return unmarshal(data, &m.URL)
	}
	type media mediaJSON // without this method
	return unmarshal(data, (*media)(m))
}

// MarshalJSON writes the part in the shape of the OpenAI chat API.
func (p Part) MarshalJSON() ([]byte, error) {
	j := partJSON{Type: p.Type, Budget: p.Budget}
	media := &mediaJSON{URL: p.URL, Detail: p.Detail}
	switch {
	case p.Type == "text":
		j.Text = &p.Text
	case p.there():
		if err := j.hold(p); err != nil {
			return nil, err
		}
	case p.Type == "image" && *media != (mediaJSON{}):
		j.Type, j.Image = "image_url", media
	case p.Type == "audio" && (p.Data != nil || p.Format != ""):
		j.Type, j.Input = "input_audio", &soundJSON{p.Data, p.Format}
	case p.Type == "audio" && p.URL != "":
		j.Type, j.Audio = "audio_url", media
	case p.Type == "video" && p.URL != "":
		j.Type, j.Video = "video_url", media
	}
	return marshal(j)
}

// hold puts a picture, a sound or a video itself into the JSON of its part.
func (j *partJSON) hold(p Part) (err error) {
	if p.Image != nil {
		j.Pixels, err = pixelsOf(p.Image)
	}
	j.Samples = p.Samples
	for _, f := range p.Frames {
		picture, failed := pixelsOf(f.Image)
		j.Frames, err = append(j.Frames, frameJSON{f.Time.Seconds(), picture}), errors.Join(err, failed)
	}
	return err
}

// UnmarshalJSON reads a part in the shape of the OpenAI chat API; keys that it does not know are ignored.
func (p *Part) UnmarshalJSON(data []byte) error {
	var j partJSON
	if err := unmarshal(data, &j); err != nil {
		return fmt.Errorf("chat: part: %w", err)
	}
	next := Part{Type: j.Type, Budget: j.Budget}
	if j.Type == "text" && j.Text != nil {
		next.Text = *j.Text
	}
	var media *mediaJSON
	switch j.Type {
	case "image_url":
		next.Type, media = "image", j.Image
	case "audio_url":
		next.Type, media = "audio", j.Audio
	case "video_url":
		next.Type, media = "video", j.Video
	case "input_audio":
		next.Type = "audio"
		if j.Input == nil {
			return errors.New("chat: part: no input_audio in a part of that type")
		}
		next.Data, next.Format = j.Input.Data, j.Input.Format
	case "image":
		if j.Pixels != nil {
			next.Image = j.Pixels
		}
	case "audio":
		next.Samples = j.Samples
	case "video":
		for i, f := range j.Frames {
			if f.Image == nil || !(f.Time >= 0 && f.Time <= maxSeconds) {
				return fmt.Errorf("chat: part: frame %d is at %v s, or has no image", i, f.Time)
			}
			next.Frames = append(next.Frames, Frame{time.Duration(f.Time * float64(time.Second)), f.Image})
		}
	}
	if media != nil {
		next.URL, next.Detail = media.URL, media.Detail
	} else if next.Type != j.Type && j.Type != "input_audio" {
		return fmt.Errorf("chat: part: no %s in a part of that type", j.Type)
	}
	*p = next
	return nil
}

func (p Part) validate(role string) error {
	switch p.Type {
	case "text":
		if p.URL != "" || p.Data != nil || p.there() {
			return errors.New("a URL, data or media in a part of type text")
		}
		return validText("text", p.Text)
	case "image", "audio", "video":
	default:
		return fmt.Errorf("type %.60q, expected text, image, audio or video", p.Type)
	}
	if p.Text != "" {
		return fmt.Errorf("text in a part of type %s", p.Type)
	}
	if err := validText("url", p.URL); err != nil {
		return err
	}
	if p.URL != "" && p.Data != nil {
		return fmt.Errorf("both a URL and data in a part of type %s", p.Type)
	}
	if role == "system" || role == "developer" {
		return fmt.Errorf("type %s in a message of role %s, expected text", p.Type, role)
	}
	return p.validateMedia()
}

// validateMedia checks what is there of a picture, a sound or a video.
func (p Part) validateMedia() error {
	for _, has := range []struct {
		kind string
		here bool
	}{{"image", p.Image != nil}, {"audio", p.Samples != nil}, {"video", p.Frames != nil}} {
		if has.here && has.kind != p.Type {
			return fmt.Errorf("what a part of type %s has, in a part of type %s", has.kind, p.Type)
		}
	}
	if p.there() && (p.URL != "" || p.Data != nil) {
		return fmt.Errorf("a URL or data beside the %s itself", p.Type)
	}
	if err := p.Budget.Validate(); err != nil {
		return err
	}
	for i, f := range p.Frames {
		if f.Image == nil {
			return fmt.Errorf("frame %d has no image", i)
		}
		if f.Time < 0 || i > 0 && f.Time < p.Frames[i-1].Time {
			return fmt.Errorf("frame %d is at %v, which is before the one before it, or the beginning", i, f.Time)
		}
	}
	for i, x := range p.Samples {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return fmt.Errorf("sample %d is %v, expected a number", i, x)
		}
	}
	return nil
}
