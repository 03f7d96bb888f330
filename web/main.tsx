// The page's entry. Reading order: app.tsx, state/chat.ts, api/responses.ts, markdown/render.ts.

import './styles.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { start } from './state/chat.ts';

render(<App />, document.getElementById('app')!);
void start();
