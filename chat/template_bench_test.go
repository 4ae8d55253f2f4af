package chat

import (
	"context"
	"testing"
)

func BenchmarkRender(b *testing.B) {
	tpl := published(b)
	cases := goldenCases(b)
	for name, markup := range map[string][]string{"plain": nil, "marked": gemmaMarkup} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for _, c := range cases {
					if _, err := tpl.Render(context.Background(), c.Conversation, markup); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
