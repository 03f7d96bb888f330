// The page's entry. Reading order: app.tsx, state/chat.ts, api/responses.ts, markdown/render.ts.

import './styles/colours.css';
import './styles/frame.css';
import './styles/messages.css';
import './styles/markdown.css';
import './styles/composer.css';
import './styles/dialogs.css';
import './styles/narrow.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { start } from './state/chat.ts';

render(<App />, document.getElementById('app')!);
void start();
