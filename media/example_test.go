package media_test

import (
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/gogemma/gemma4/media"
)

func ExampleOpenPicture() {
	m, err := media.OpenPicture("testdata/pictures/turned-6.jpg", media.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Bounds().Size()) // stored as 37×23, to be turned by 90°
	// Output: (23,37)
}

func ExampleUnsupported() {
	heic := []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
	_, err := media.Picture("photo.heic", heic, media.Options{})
	fmt.Println(err)
	var refused *media.Unsupported
	if errors.As(err, &refused) {
		fmt.Println(refused.Format)
	}
	// Output:
	// media: photo.heic: HEIC is not decoded here; ffmpeg -i photo.heic photo.png makes a PNG of it
	// HEIC
}

func ExampleSample() {
	clip, err := media.OpenVideo("testdata/videos/lossless.webp", media.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer clip.Close()
	frames, spread := media.Sample(clip.Frames, clip.Duration)
	fmt.Println(len(clip.Frames), "frames in", clip.Duration, "spread:", spread)
	for _, f := range frames {
		m, err := f.Image()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f.Time, f.Index, m.Bounds().Size())
	}
	// Output:
	// 5 frames in 1.79s spread: false
	// 0s 0 (32,20)
	// 1s 4 (32,20)
}

// Pictures of a camera, as rpicam-vid -t 0 --codec mjpeg -o - writes them. With 0 for the frames a second they have the times at which they
// come, and Latest leaves out those that come while the loop is busy.
func ExampleStream() {
	camera, err := os.Open("testdata/videos/stream.mjpeg") // or os.Stdin
	if err != nil {
		log.Fatal(err)
	}
	defer camera.Close()
	for frame, err := range media.Stream(camera, 5, media.Options{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(frame.Index, frame.Time)
	}
	// Output:
	// 0 0s
	// 1 200ms
	// 2 400ms
	// 3 600ms
	// 4 800ms
}
