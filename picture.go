package gemma4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/internal/pixel"
	"github.com/gogemma/gemma4/model"
)

// Picture is an image as a model sees it: resized to a budget of tokens. [Model.Picture] makes one; given to a model with the same kind of
// projector it is not resized again.
type Picture struct {
	*pixel.Image
	tokens int
	id     uint64
	s      *senses
}

// Tokens returns how many positions of a text the picture takes, without the two markers around it.
func (p *Picture) Tokens() int { return p.tokens }

// Fitted says that the image need not be resized, as long as its tokens are within the budget.
func (p *Picture) Fitted() bool { return true }

// fitted is an image that was resized for a model before.
type fitted interface {
	image.Image
	Fitted() bool
}

// Picture resizes an image to a budget of tokens, 0 for that of Loader.Pictures, as the model sees it: all of it, enlarged if it is small,
// with sides that are multiples of 48 pixels. What is transparent lies over white. An image whose sides are too unequal for the budget is
// an error, and so is a model that takes no pictures ([ErrSense]).
func (m *Model) Picture(img image.Image, budget chat.Budget) (*Picture, error) {
	s, err := m.eyes()
	if err != nil {
		return nil, fmt.Errorf("gemma4: a picture: %w", err)
	}
	p, err := s.picture(img, budget)
	return p, wrap(err)
}

// Input returns the picture as a part of a text. Its embeddings are made when they are read, and only if neither the session nor its prefix
// cache has seen the picture at this place. The two markers that belong around it are tokens: <|image> before it, <image|> behind it.
func (p *Picture) Input() Input {
	return Input{Image: true, ID: p.id, Later: &model.Later{Count: p.tokens, Make: func(ctx context.Context) ([]float32, error) {
		return p.s.encode(ctx, p.id, &p.s.seen, func() ([]float32, error) { return p.s.sight.See(ctx, p.pixels()) })
	}}}
}

func (p *Picture) pixels() model.Pixels {
	return model.Pixels{Width: p.Width, Height: p.Height, RGB: p.Pix}
}

// picture resizes an image.
func (s *senses) picture(img image.Image, budget chat.Budget) (*Picture, error) {
	w, h, n, err := s.size(img, budget)
	if err != nil {
		return nil, err
	}
	if p, ok := img.(*Picture); ok && p.s == s && p.tokens == n {
		return p, nil
	}
	width, height, rgb, err := pixel.RGB(img)
	if err != nil {
		return nil, err
	}
	fit := model.Pixels{Width: width, Height: height, RGB: rgb}.Resize(w, h)
	p := &Picture{Image: &pixel.Image{Width: w, Height: h, Pix: fit.RGB}, s: s, tokens: n}
	hash := s.digest("image", w, h, p.tokens)
	hash.Write(fit.RGB)
	p.id = identityOf(hash)
	return p, nil
}

// size returns what an image is resized to, and how many tokens that has.
func (s *senses) size(img image.Image, budget chat.Budget) (w, h, tokens int, err error) {
	if img == nil {
		return 0, 0, 0, errors.New("a picture without an image")
	}
	b := img.Bounds()
	if w, h = b.Dx(), b.Dy(); b.Empty() {
		return 0, 0, 0, fmt.Errorf("a picture of %d × %d pixels", w, h)
	}
	if budget = cmp.Or(budget, s.usual); budget == chat.AutoBudget {
		budget = s.auto(w, h)
	}
	most := int(budget)
	if f, ok := img.(fitted); ok && f.Fitted() {
		if n, err := s.PictureTokens(w, h); err == nil && n <= most {
			return w, h, n, nil
		}
	}
	if w, h, err = model.Fit(w, h, most, s.TokenSide()); err != nil {
		return 0, 0, 0, err
	}
	tokens, err = s.PictureTokens(w, h)
	return w, h, tokens, err
}

// frames returns the budget of each frame of a video for which none is given.
func (s *senses) frames() chat.Budget {
	if s.usual > 0 {
		return min(s.usual, chat.LowBudget)
	}
	return chat.LowBudget
}

// auto returns the smallest budget that has room for all pixels of a picture, or the largest.
func (s *senses) auto(w, h int) chat.Budget {
	for _, b := range chat.Budgets() {
		if side := s.TokenSide(); int64(b)*int64(side*side) >= int64(w)*int64(h) {
			return b
		}
	}
	return chat.HighBudget
}
