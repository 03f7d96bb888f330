// The `gptoss/tools` entry: the built-in tools for programs that use the library under Node. They are apart from the main
// entry because they bring libraries along (a DOM, an HTTP client, the MCP SDK) that an answer without tools never needs.

export type { AllowedPlace } from './agent/browser/addresses.ts';
export type { PageBackend, SearchBackend, SearchResult } from './agent/browser/backend.ts';
export { type BrowserOptions, browserTool } from './agent/browser/browser-tool.ts';
export { type LocalIndex, type LocalIndexOptions, openLocalIndex } from './agent/browser/local-index.node.ts';
export type { PageSource } from './agent/browser/page.ts';
export type { SafeFetchOptions } from './agent/browser/safe-fetch.node.ts';
export { WebPages, type WebSearchOptions, webSearch } from './agent/browser/web.node.ts';
export { type McpServerConfig, mcpServersIn } from './agent/mcp/config.ts';
export { McpHub } from './agent/mcp/hub.node.ts';
export { openPatchFolder } from './agent/patch/folder.node.ts';
export { applyPatchTool, type PatchFolder } from './agent/patch/patch-tool.ts';
