package gemma4

// Awaited returns the number of positions that sessions wait for or want to be kept.
func (p *PrefixCache) Awaited() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.readings {
		n += len(r.keep)
	}
	return n
}
