package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// A provider is the far end of the SCIM front: an HTTP client with the headers of
// one identity provider. It accepts only the statuses which that provider accepts,
// so that the demo stops at the first answer that would stop a real one.

// Provider sends requests as one identity provider does.
type Provider struct {
	name, base, secret string
	header             map[string]string
	client             *http.Client
	sent               []exchange
}

// exchange is one request and its answer, for the narration.
type exchange struct {
	method, path string
	status       int
	took         time.Duration
	note         string
}

// NewProvider returns the provider called name, which sends to the SCIM base URL
// with a bearer secret and headers of its own.
func NewProvider(name, base, secret string, header map[string]string) *Provider {
	return &Provider{name: name, base: base, secret: secret, header: header, client: &http.Client{Timeout: 30 * time.Second}}
}

// do sends one request and returns the decoded answer; a status that the
// provider would not accept is an error.
func (p *Provider) do(ctx context.Context, note, method, path string, body any, want ...int) (map[string]any, error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.base+path, in)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.secret)
	req.Header.Set("Accept", "application/scim+json")
	if body != nil {
		req.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	for k, v := range p.header {
		req.Header.Set(k, v)
	}
	started := time.Now()
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	p.sent = append(p.sent, exchange{method, path, resp.StatusCode, time.Since(started), note})
	if slices.Contains(want, resp.StatusCode) {
		return decodeObject(data)
	}
	return nil, fmt.Errorf("%s %s: status %d: %s", method, path, resp.StatusCode, data)
}

// decodeObject decodes an answer; no content is no object.
func decodeObject(data []byte) (map[string]any, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("answer is not JSON: %w", err)
	}
	return out, nil
}

// Create posts a resource and returns its id.
func (p *Provider) Create(ctx context.Context, note, path string, body any) (string, error) {
	out, err := p.do(ctx, note, http.MethodPost, path, body, http.StatusCreated)
	if err != nil {
		return "", err
	}
	id, _ := out["id"].(string)
	return id, nil
}

// patch sends operations.
func (p *Provider) patch(ctx context.Context, note, path string, operations ...map[string]any) error {
	body := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": operations}
	_, err := p.do(ctx, note, http.MethodPatch, path, body, http.StatusOK, http.StatusNoContent)
	return err
}

// take returns what was sent since the last call.
func (p *Provider) take() []exchange {
	out := p.sent
	p.sent = nil
	return out
}
