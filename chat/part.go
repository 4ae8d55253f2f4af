package chat

import (
	"bytes"
	"errors"
	"fmt"
)

// Part is a part of a message: text, or a picture, a sound or a video and where it is found.
//
// Its JSON is that of the OpenAI chat API: {"type": "text", "text": …}, {"type": "image_url", "image_url": {"url": …}},
// {"type": "input_audio", "input_audio": {"data": …, "format": …}}, and audio_url and video_url by analogy; media of which
// nothing is known but where they stand are {"type": "image"}, audio or video.
type Part struct {
	// Type is text, image, audio or video.
	Type string
	// Text is that of a part of type text.
	Text string
	// URL says where a picture, a sound or a video is; it may hold it (data:…).
	URL string
	// Detail is the resolution that is asked for a picture: auto, low or high, or empty.
	Detail string
	// Data is a sound.
	Data []byte
	// Format is that of Data, such as wav.
	Format string
}

// partTypes are the types that JSON may name.
var partTypes = []string{"text", "image", "audio", "video", "image_url", "audio_url", "video_url", "input_audio"}

type partJSON struct {
	Type  string     `json:"type"`
	Text  *string    `json:"text,omitempty"`
	Image *mediaJSON `json:"image_url,omitempty"`
	Audio *mediaJSON `json:"audio_url,omitempty"`
	Video *mediaJSON `json:"video_url,omitempty"`
	Input *soundJSON `json:"input_audio,omitempty"`
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
	j := partJSON{Type: p.Type}
	media := &mediaJSON{URL: p.URL, Detail: p.Detail}
	switch {
	case p.Type == "text":
		j.Text = &p.Text
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

// UnmarshalJSON reads a part in the shape of the OpenAI chat API; keys that it does not know are ignored.
func (p *Part) UnmarshalJSON(data []byte) error {
	var j partJSON
	if err := unmarshal(data, &j); err != nil {
		return fmt.Errorf("chat: part: %w", err)
	}
	next := Part{Type: j.Type}
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
		if p.URL != "" || p.Data != nil {
			return errors.New("a URL or data in a part of type text")
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
	return nil
}
