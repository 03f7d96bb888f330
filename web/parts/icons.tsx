// The few pictures of the page, drawn here: 20 × 20, in the colour of the text around them.

const paths = {
  plus: 'M10 4v12M4 10h12',
  send: 'M10 16V4M5 9l5-5 5 5',
  stop: 'M6 6h8v8H6z',
  menu: 'M3 6h14M3 10h14M3 14h14',
  close: 'M5 5l10 10M15 5L5 15',
  gear: 'M4 6h7M15 6h1M4 14h1M9 14h7M13 4v4M7 12v4',
  copy: 'M7 7h9v9H7zM4 13V4h9',
  edit: 'M4 16l1-4 8-8 3 3-8 8zM12 5l3 3',
  retry: 'M15 6a6 6 0 1 0 1 6M16 3v4h-4',
  left: 'M12 5l-5 5 5 5',
  right: 'M8 5l5 5-5 5',
  down: 'M5 8l5 5 5-5',
  trash: 'M4 6h12M8 6V4h4v2M6 6l1 10h6l1-10',
  tool: 'M12 4a4 4 0 0 0-4 5l-5 5 3 3 5-5a4 4 0 0 0 5-5l-2 2-2-1-1-2z',
  code: 'M7 6l-4 4 4 4M13 6l4 4-4 4',
  page: 'M5 3h7l3 3v11H5zM12 3v3h3M7.5 10h5M7.5 13h5',
  globe: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM3 10h14M10 3c2.4 2 2.4 12 0 14M10 3c-2.4 2-2.4 12 0 14',
  download: 'M10 4v8M6 9l4 4 4-4M5 16h10',
  thought: 'M7.5 15.5h5M8 17.5h4M7.5 13.5c0-1.6-2.5-2.6-2.5-5.3a5 5 0 0 1 10 0c0 2.7-2.5 3.7-2.5 5.3z',
  search: 'M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4zM13 13l4 4',
} as const;

export function Icon({ name }: { name: keyof typeof paths }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

/** A button that is only a picture; its label is read and shown as a hint. */
export function IconButton(props: {
  icon: keyof typeof paths;
  label: string;
  onClick: () => void;
  disabled?: boolean;
  class?: string;
}) {
  return (
    <button
      type="button"
      class={`icon-button ${props.class ?? ''}`}
      aria-label={props.label}
      title={props.label}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}
